"""The README keeps its word: its Python runs, its commands and options exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamsed.audio.decode import file_chunks
from streamsed.detector import Detector

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_of_the_readme_runs_in_its_order(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names = {"microphone": file_chunks("examples/scene.flac")}
    for block in blocks("python"):
        exec(block, names)  # noqa: S102 - the README's own code
    assert "Dog" in capsys.readouterr().out


def test_the_events_of_the_readme_are_those_of_the_scene():
    shown = re.search(r"\$ streamsed file (\S+)\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    rows = [line.split() for line in shown[2].splitlines()[2:]]
    told = [(label, pytest.approx(float(onset), abs=0.2)) for onset, *_, label in rows]
    detector = Detector.load("default", device="cpu")
    events = sorted(detector.events(file_chunks(ROOT / shown[1])))
    assert [(event.label, event.onset) for event in events] == told


def test_the_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def help_of(words):
    command = [sys.executable, "-m", *words, "--help"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


@pytest.mark.parametrize("program", [r"streamsed \w+", r"python -m train \w+"])
def test_the_options_of_the_readme_exist(program):
    lines = "\n".join(blocks("sh"))
    used = re.findall(rf"^({program}) ([^#\n]*)", lines, flags=re.MULTILINE)
    assert used
    for command, arguments in used:
        words = command.replace("python -m ", "").split()
        shown = help_of(words)
        first = arguments.split()[0] if arguments.split() else ""
        if re.search(
            rf"^  {re.escape(first)}  ", shown.partition("Commands:")[2], re.MULTILINE
        ):
            shown = help_of([*words, first])
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", arguments):
            assert re.search(rf"(?<![\w-]){option}\b", shown), (command, option)


def test_the_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
