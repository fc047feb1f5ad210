"""The model card's numbers: counted by hand on models that detect everything, or nothing."""

import json
import re
import shlex
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_model import write_tiny_model

from streamsed.config import PostConfig
from streamsed.events import Event
from streamsed.inference.model import Model
from train.annotations.event_lists import write_strong
from train.cli import app as cli
from train.cli.card import BEGIN, END
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import rebuild_evaluation_set
from train.evaluation import model_card as card_module
from train.evaluation.draws import Seed
from train.evaluation.model_card import Card, artificial_sounds
from train.evaluation.model_card_page import to_markdown
from train.evaluation.scoring import score_events
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Clip, Soundbank
from train.mixing.toy_bank import write_bank

LABELS = ("Beeping", "Chirping", "Hissing", "Humming")
LAYOUTS = [
    [Event("Beeping", 1.0, 2.0, 1.0), Event("Humming", 0.0, 10.0, 1.0)],
    [Event("Chirping", 4.0, 4.5, 1.0)],
    [Event("Hissing", 2.0, 9.0, 1.0)],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    for path in (folder / "foreground/Knocking").iterdir():
        path.unlink()  # the tests' model has one band of the spectrum for each of four
    return folder


@pytest.fixture(scope="module")
def bank(folder):
    return Soundbank.load(folder, split="validation")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "four.pt", LABELS)


@pytest.fixture(autouse=True)
def _few_soundscapes(monkeypatch):
    monkeypatch.setattr(card_module, "N_QUIET", 3)
    monkeypatch.setattr(card_module, "N_SOME", 1)


def deaf_or_sure(path, score):
    """A model that gives every label the same score at all times."""
    scores = np.full((128, len(LABELS)), score, np.float32)
    return SimpleNamespace(
        info=Model.load(path, device="cpu").info,
        score=lambda _segment: SimpleNamespace(scores=scores),
    )


@pytest.fixture(scope="module")
def measured(path, bank):
    model = Model.load(path, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card_module, "N_QUIET", 3)
        patch.setattr(card_module, "N_SOME", 1)
        return Card(model, bank, LAYOUTS).measure()


def test_every_number_is_one_that_json_can_hold(measured):
    assert json.loads(json.dumps(measured, allow_nan=False))["n_clips"] == 3


def test_the_first_row_is_the_files_own_thresholds_on_the_rebuilt_list(
    measured, path, bank
):
    model = Model.load(path, device="cpu")
    frontend = model.info.frontend
    recordings = rebuild_evaluation_set(
        Mixer(bank, EVALUATION_MIXING), LAYOUTS, frontend, seed=Seed.CARD
    )
    scores = [model.score(segment).scores for segment in recordings.segments]
    for name, post in (
        ("as shipped", model.info.post),
        ("the same without connect & cut", PostConfig(min_gap=0.0, min_duration=0.0)),
    ):
        f1 = score_events(scores, recordings, post, frontend)
        assert measured["rows"][name]["event_f1_macro"] == round(f1.macro, 4)
        low, high = measured["rows"][name]["micro_interval"]
        assert low <= f1.micro <= high


def test_a_model_that_detects_nothing_is_never_right_and_never_wrong(path, bank):
    card = Card(deaf_or_sure(path, 0.0), bank, LAYOUTS).measure()
    assert card["false_alarms"]["per_hour"] == 0
    assert set(card["artificial"].values()) == {0}
    assert card["rows"]["as shipped"]["event_f1_micro"] == 0
    assert card["alone"] == {label: [0, 1] for label in LABELS}
    # All scores are 0 and right as often as something sounds: that is the error.
    n_frames = 3 * 128 * 4
    assert card["reliability"][0][0] == n_frames
    assert card["calibration_error"] == card["reliability"][0][2] > 0


def test_a_model_that_detects_everything_is_wrong_in_every_silence(path, bank):
    card = Card(deaf_or_sure(path, 1.0), bank, LAYOUTS).measure()
    # One event of each label in each of three clips of ten seconds.
    assert card["false_alarms"]["by_label"] == dict.fromkeys(LABELS, 3)
    assert card["false_alarms"]["per_hour"] == pytest.approx(4 * 3 * 3600 / 30)
    assert card["artificial"]["digital silence"] == 4
    assert card["artificial"]["pure tones, 60 Hz to 12 kHz"] == 40
    assert card["alone"] == {label: [1, 1] for label in LABELS}
    # Each clip of the list is claimed whole: Humming, 0 to 10 s, is the one hit.
    assert card["rows"]["as shipped"]["event_f1_per_label"]["Humming"] == 0.5
    assert card["rows"]["as shipped"]["event_f1_per_label"]["Beeping"] == 0


def test_every_recording_is_confused_with_exactly_one_label(measured, bank):
    for label, guesses in measured["confusions"].items():
        assert sum(guesses.values()) == len(bank.foreground[label])
        assert measured["n_recordings"][label] == len(bank.foreground[label])


def test_a_click_alone_is_an_event_too(path):
    click = np.zeros(44100, np.float32)
    click[1000:1400] = 0.5  # 9 ms
    foreground = {label: (Clip(click, ((882, 1764),)),) for label in LABELS}
    bank = Soundbank(foreground, {}, 44100)
    card = Card(deaf_or_sure(path, 1.0), bank, LAYOUTS).measure()
    assert card["alone"] == {label: [1, 1] for label in LABELS}


def test_the_order_of_a_models_labels_changes_nothing(path, bank, measured):
    model = Model.load(path, device="cpu")

    def score(segment):
        return SimpleNamespace(scores=model.score(segment).scores[:, ::-1].copy())

    turned = replace(model.info, labels=LABELS[::-1])
    card = Card(SimpleNamespace(info=turned, score=score), bank, LAYOUTS).measure()
    for name in ("confusions", "alone", "false_alarms", "artificial"):
        assert card[name] == measured[name]
    for name, row in card["rows"].items():
        per_label = measured["rows"][name]["event_f1_per_label"]
        assert row["event_f1_per_label"] == per_label
    assert card["calibration_error"] == pytest.approx(measured["calibration_error"])


def test_another_banks_labels_are_refused(path, bank):
    model = Model.load(path, device="cpu")
    few = replace(bank, foreground={"Beeping": bank.foreground["Beeping"]})
    missing = ", ".join(LABELS[1:])
    with pytest.raises(ValueError, match=f"^--soundbank: no recordings of {missing}, "):
        Card(model, few, LAYOUTS)
    more = replace(bank, foreground={**bank.foreground, "Owl": ()})
    with pytest.raises(ValueError, match=r"^--soundbank: its label 'Owl' is not one"):
        Card(model, more, LAYOUTS)


def test_a_tone_that_a_sample_rate_cannot_hold_is_left_out():
    sounds = artificial_sounds(16000)
    assert len(sounds["pure tones, 60 Hz to 12 kHz"]) == 8
    shapes = {each.samples.shape for kind in sounds.values() for each in kind}
    assert shapes == {(160000,)}


def test_sounds_that_are_none_are_ten_seconds_within_full_scale():
    sounds = artificial_sounds()
    assert sum(len(each) for each in sounds.values()) == 1 + 6 + 10 + 12
    for soundscapes in sounds.values():
        for soundscape in soundscapes:
            assert soundscape.samples.shape == (441000,)
            assert soundscape.samples.dtype == np.float32
            assert np.abs(soundscape.samples).max() <= 1.0
            assert soundscape.events == []


def test_the_page_has_whole_tables_and_its_command(measured):
    text = to_markdown(measured, "python -m train card m.pt --soundbank bank")
    assert "`python -m train card m.pt --soundbank bank`" in text
    assert "nan" not in text.lower()
    tables = re.findall(r"(?:^\|.*\n)+", text + "\n", re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        rows = table.splitlines()
        assert len(rows) > 2
        assert len({row.count("|") for row in rows}) == 1
    for label in LABELS:
        assert f"| {label} | 1 |" in text


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in a folder of its own; give its code and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(command):
        monkeypatch.setattr(sys, "argv", ["train", *shlex.split(command)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, capsys.readouterr().err

    return run


def test_the_command_writes_between_its_marks_and_nowhere_else(
    run, path, folder, tmp_path
):
    write_strong(tmp_path / "list.tsv", {str(i): c for i, c in enumerate(LAYOUTS)})
    page = tmp_path / "card.md"
    page.write_text(f"# A model\n\n{BEGIN}\nold numbers\n{END}\n\nWritten by hand.\n")
    command = (
        f"card {path} --soundbank {folder} --blueprint list.tsv --output card.md "
        "--json card.json"
    )
    assert run(command) == (0, "")
    text = page.read_text()
    assert text.startswith(f"# A model\n\n{BEGIN}\n\nWritten by")
    assert text.endswith(f"\n{END}\n\nWritten by hand.\n")
    assert "old numbers" not in text
    assert json.loads((tmp_path / "card.json").read_text())["n_clips"] == 3


def test_what_is_written_while_a_card_is_measured_is_kept(
    run, path, folder, tmp_path, monkeypatch, measured
):
    write_strong(tmp_path / "list.tsv", {str(i): c for i, c in enumerate(LAYOUTS)})
    page = tmp_path / "card.md"
    page.write_text(f"{BEGIN}\n{END}\n")

    def measure(_card):
        page.write_text(f"# Edited\n{BEGIN}\n{END}\nEnds with {END}, too.\n")
        return measured

    monkeypatch.setattr(Card, "measure", measure)
    command = f"card {path} --soundbank {folder} --blueprint list.tsv --output card.md"
    assert run(command) == (0, "")
    assert page.read_text().startswith(f"# Edited\n{BEGIN}\n\nWritten by")
    assert page.read_text().endswith(f"{END}\nEnds with {END}, too.\n")


def test_a_card_begins_with_what_was_measured_on_continuous_recordings(
    run, path, folder, tmp_path
):
    write_strong(tmp_path / "list.tsv", {str(i): c for i, c in enumerate(LAYOUTS)})
    code, _ = run(
        f"evaluate {path} --continuous --soundbank {folder} --split validation "
        "--recordings 1 --minutes 0.5 --json stream.json"
    )
    assert code == 0
    page = tmp_path / "card.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    command = f"card {path} --soundbank {folder} --blueprint list.tsv --output card.md"
    assert run(f"{command} --continuous stream.json") == (0, "")
    text = page.read_text()
    assert text.startswith(f"{BEGIN}\n\nMeasured by `python -m train evaluate")
    assert text.index("| latency (s) |") < text.index(
        "\n\nWritten by `python -m train card"
    )
    (tmp_path / "stream.json").write_text("[1]")
    code, error = run(f"{command} --continuous stream.json")
    assert code == 2
    assert "stream.json: not a file of `evaluate --continuous" in error
    assert page.read_text() == text


@pytest.mark.parametrize("text", ["# A card", f"{END} {BEGIN}", BEGIN])
def test_a_page_without_marks_is_refused_before_anything_is_measured(
    run, text, tmp_path
):
    (tmp_path / "card.md").write_text(text)
    code, error = run(
        "card no.pt --soundbank nowhere --blueprint no.tsv --output card.md"
    )
    assert code == 2
    assert error.startswith("train: error: card.md: no lines")
    assert (tmp_path / "card.md").read_text() == text
