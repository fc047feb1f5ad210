"""README and documentation keep their word: code runs, commands, options and links exist."""

import functools
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts import architecture, site_pages
from streamsed.audio.decode import file_chunks
from streamsed.detector import Detector
from streamsed.inference.model_file import ModelFile, find_model
from train.cli.card import BEGIN, END

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"
PAGES = [README, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md")), *DOCS]
IDS = [page.name for page in PAGES]


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_there_are_pages():
    assert len(DOCS) >= 15


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name
)
def test_the_python_of_a_page_runs_in_its_order(page, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names = {"microphone": file_chunks("examples/scene.flac")}
    for block in blocks(page, "python"):
        exec(block, names)  # noqa: S102 - the page's own code
    assert "Dog" in capsys.readouterr().out


def test_the_events_of_the_readme_are_those_of_the_scene():
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"\$ streamsed file (\S+)\n(.*?)```", text, flags=re.DOTALL)
    assert shown is not None
    rows = [line.split() for line in shown[2].splitlines()[2:]]
    reported = [
        (label, pytest.approx(float(onset), abs=0.2)) for onset, *_, label in rows
    ]
    detector = Detector.load("default", device="cpu")
    events = sorted(detector.events(file_chunks(ROOT / shown[1])))
    assert [(event.label, event.onset) for event in events] == reported


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_make_targets_of_a_page_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_make_card_writes_between_the_marks_of_the_card():
    words = ["make", "-n", "--no-print-directory", "card"]
    words += ["MODEL=m.pt", "SOUNDBANK=a b", "LIST=l.tsv"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    command = shown.stdout.replace("\\\n", " ").partition("-m train card ")[2].split()
    card = command[command.index("--output") + 1]
    assert command == [
        *("m.pt", "--soundbank", "a", "--soundbank", "b", "--blueprint", "l.tsv"),
        *("--output", card),
    ]
    before, _, rest = (ROOT / card).read_text("utf-8").partition(BEGIN)
    measured, _, after = rest.partition(END)
    assert before
    assert measured.lstrip().startswith("Written by `python -m train card ")
    assert after


@functools.cache
def app_of(program):
    if program == "streamsed":
        from streamsed.cli.app import app
    else:
        from train.cli.app import app
    return app


@functools.cache
def help_of(program, *words):
    done = CliRunner().invoke(app_of(program), [*words, "--help"])
    assert done.exit_code == 0, (program, words)
    return done.output


def commands_of(page):
    """Yield (program, its words and options) of each command in a page."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    within = re.findall(r"`((?:streamsed|python -m train) [^`]*)`", text)
    lines = "\n".join([lines, *(" ".join(command.split()) for command in within)])
    pattern = r"(?:^|\| )(streamsed|python -m train) ([^#|\n]*)"
    for program, arguments in re.findall(pattern, lines, flags=re.MULTILINE):
        yield program, arguments.split()


@pytest.mark.parametrize(
    "page", [p for p in PAGES if [*commands_of(p)]], ids=lambda page: page.name
)
def test_the_commands_and_options_of_a_page_exist(page):
    for program, words in commands_of(page):
        command = words[:1]
        if words[0].startswith("-"):  # without a command: table1
            command = ["table1"] if program == "python -m train" else []
        shown = help_of(program, *command)
        for first in words[1:2]:
            listed = shown.partition("Commands:")[2]
            if re.search(rf"^  {re.escape(first)}  ", listed, re.MULTILINE):
                shown = help_of(program, *command, first)
        for option in (w for w in words if re.fullmatch(r"--?[a-z][a-z0-9-]*", w)):
            assert re.search(rf"(?<![\w-]){option}\b", shown), (command, option)


def test_the_readme_and_the_card_quote_the_scores_of_the_shipped_model():
    scores = ModelFile.open(find_model("default")).info.scores_at_export["continuous"]
    live, settled = (100 * scores[delay]["event_f1_macro"] for delay in ("1", "10"))
    sentence = f"macro {settled:.0f} % once events are final, {live:.0f} % one second"
    assert sentence in " ".join(README.read_text("utf-8").split())
    card = (ROOT / "docs/model-card.md").read_text("utf-8")
    assert f"| event F1, macro | **{live:.1f} %** | **{settled:.1f} %** |" in card


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_links_of_a_page_lead_somewhere(page):
    elsewhere = site_pages.PAGES if page in DOCS else {}
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists() or target in elsewhere, target


def test_the_tests_that_the_threat_model_names_exist():
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:tests/)?([\w/]*test_\w+\.py)`", text))
    assert len(named) >= 20
    assert {n for n in named if not [*(ROOT / "tests").rglob(n)]} == set()


def sentences(page):
    """The page's prose as sentences of eight words or more, without code and tables."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    prose = " ".join(" ".join(lines).split())
    return {
        sentence
        for sentence in re.split(r"(?<=[.:;]) ", prose)
        if len(sentence.split()) >= 8
    }


def test_no_page_repeats_the_readme_or_another():
    homes = {}
    for page in PAGES:
        for sentence in sentences(page):
            homes.setdefault(sentence, []).append(page.name)
    assert len(homes) > 300
    assert {s: where for s, where in homes.items() if len(where) > 1} == {}


@pytest.mark.parametrize("package", ["streamsed", "train"])
def test_the_readme_says_what_every_folder_is_for(package):
    text = README.read_text(encoding="utf-8").partition("## Find your way")[2]
    rows = text.partition(f"| `{package}/`")[2].partition("| `tests/`")[0]
    rows = rows.partition("| `train/`")[0]
    folders = {
        path.parent.name
        for path in (ROOT / package).glob("*/__init__.py")
        if path.parent.name != "models"
    }
    assert len(folders) >= 9
    assert folders - set(re.findall(r"`\s*(\w+)/`", rows)) == set()


def test_every_page_is_in_the_sites_navigation():
    listed = re.findall(
        r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    assert len(set(listed)) == len(listed)
    assert set(listed) == {page.name for page in DOCS} | set(site_pages.PAGES)


def test_the_pages_from_elsewhere_link_within_the_site():
    text = textwrap.dedent("""\
        See [the model](docs/model-card.md), [rules](CONTRIBUTING.md), [why](https://x.y)
        and [a file](Makefile).

        [1.0.0]: ../../releases/tag/v1.0.0
        """)
    assert site_pages.as_page(text) == textwrap.dedent("""\
        See [the model](model-card.md), [rules](contributing.md), [why](https://x.y)
        and a file.

        """)


def test_the_pictures_of_the_folders_are_those_of_the_ladder():
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.drawn(page) == page, "run python -m scripts.architecture"
    assert 'step0["cli/"]' in page


def test_the_picture_of_the_stages_is_how_a_detector_calls_them(monkeypatch):
    from streamsed.detector import Model, PostProcessor
    from streamsed.pipeline.extractor import Frontend, Segmenter, SegmentExtractor
    from streamsed.pipeline.post_processor import EventLifecycle, EventTracker, Stitcher

    called = []

    def note(stage, method):
        real = getattr(stage, method)

        @functools.wraps(real)
        def noted(self, work, *arguments, **options):
            if len(work) and stage.__name__ not in called:
                called.append(stage.__name__)
            return real(self, work, *arguments, **options)

        monkeypatch.setattr(stage, method, noted)

    stages = SegmentExtractor, Frontend, Segmenter, Stitcher, EventTracker
    for stage in (*stages, EventLifecycle, PostProcessor):
        note(stage, "push")
    detector = Detector.load()  # asks the model once, to see whether it is right
    note(Model, "score")
    list(detector.events(file_chunks(ROOT / "examples" / "scene.flac")))
    (picture, *_) = blocks(architecture.PAGE, "mermaid")
    names = re.findall(r"\b[A-Z]\w*[a-z]\w*\b", re.sub(r'"[^"]*"', "", picture))
    drawn = list(dict.fromkeys(names))
    assert sorted(drawn) == sorted(called)
    halves = "SegmentExtractor", "PostProcessor"
    inner = [name for name in drawn if name not in halves]
    assert inner == [name for name in called if name not in halves]
