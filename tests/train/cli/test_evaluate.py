"""`python -m train evaluate`: what it prints and writes, and what it refuses."""

import json
import sys

import numpy as np
import pytest
import soundfile

from streamsed.atomic_write import write
from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.recordings.formats import score_lines
from train.annotations.event_lists import read_strong, write_durations, write_strong
from train.annotations.score_files import read_scores
from train.cli import app as cli

RATE = 44100
FRAME = FrontendConfig().score_frame_duration


@pytest.fixture
def evaluate(monkeypatch, capsys, tmp_path):
    """Run the command in a folder of its own; give its code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        words = ["train", "evaluate", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return run


TRUTH = {
    "a.wav": [Event("Dog", 1.0, 2.0, 1.0), Event("Cat", 4.0, 8.0, 1.0)],
    "b.wav": [Event("Dog", 0.0, 5.0, 1.0)],
    "c.wav": [],
}
FOUND = {
    "a.wav": [Event("Dog", 1.1, 2.1, 1.0), Event("Cow", 3.0, 4.0, 1.0)],
    "b.wav": [Event("Dog", 0.5, 5.0, 1.0)],
}


@pytest.fixture
def lists(tmp_path):
    write_strong(tmp_path / "truth.tsv", TRUTH)
    write_strong(tmp_path / "found.tsv", FOUND)
    write_durations(tmp_path / "lengths.tsv", dict.fromkeys(TRUTH, 10.0))


PAIR = ("--reference", "truth.tsv", "--estimated", "found.tsv")


def test_every_score_is_printed_with_its_definition(evaluate, lists):
    code, out, err = evaluate(*PAIR)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert rows["Dog"][1:3] == ["2", "50.00"]  # 1 hit of 2, 2 claimed
    assert rows["Cat"][1:3] == ["1", "0.00"]  # without output: 0
    assert "Cow" not in rows  # absent from the reference, ...
    assert rows["macro"][1] == "25.00"
    assert rows["micro"][1:3] == ["3", "33.33"]  # ... but a false alarm: 2 / (3 + 3)
    flowing = " ".join(out.split())
    assert "not in the reference, so not in the macro mean: Cow" in flowing
    assert "truth.tsv: unknown list " in flowing
    for name in ("Event-based", "Segment-based", "Intersection-based"):
        assert f"{name} F1: " in flowing
    assert "PSDS" not in out


def test_every_number_is_written_as_json(evaluate, lists, tmp_path):
    code, _, _ = evaluate(*PAIR, "--json", "card.json")
    assert code == 0
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["event_f1_per_label"] == {"Cat": 0.0, "Cow": 0.0, "Dog": 0.5}
    assert (card["event_f1_macro"], card["n_clips"], card["absent"]) == (
        0.25,
        3,
        ["Cow"],
    )
    # Dog: all 6 seconds; Cat: none of 4; Cow: 1 too many.
    assert card["segment_f1_micro"] == round(2 * 6 / (10 + 8), 4)
    low, high = card["event_f1_micro_interval"]
    assert 0 <= low <= 1 / 3 <= high <= 1


def test_clips_that_the_reference_does_not_list_are_left_out(evaluate, lists, tmp_path):
    _, before, _ = evaluate(*PAIR)
    write_strong(tmp_path / "found.tsv", FOUND | {"z.wav": [Event("Dog", 1, 2, 1.0)]})
    _, out, _ = evaluate(*PAIR)
    assert "1 clips of the estimated list are not in the reference" in out
    assert out.splitlines()[:5] == before.splitlines()[:5]


def test_clips_without_a_row_count_as_without_events_and_are_counted(
    evaluate, lists, tmp_path
):
    note = "of 3 clips of the reference have no row in the estimated list, "
    done = "among them, and were scored as clips without events; if they were not"
    names = sorted(TRUTH)
    write_strong(tmp_path / "found.tsv", dict.fromkeys(names, ()) | FOUND)
    _, whole, _ = evaluate(*PAIR)
    assert note not in " ".join(whole.split())
    some = {name: events for name, events in FOUND.items() if name == names[0]}
    write_strong(tmp_path / "found.tsv", some)
    code, out, _ = evaluate(*PAIR, "--json", "card.json")
    assert code == 0
    assert f"2 {note}{names[1]} {done}" in " ".join(out.split())
    (said,) = json.loads((tmp_path / "card.json").read_text())["notes"][1:]
    assert said.startswith(f"2 {note}")
    silent = some | dict.fromkeys(names[1:], ())
    write_strong(tmp_path / "found.tsv", silent)
    assert evaluate(*PAIR)[1].splitlines()[:6] == out.splitlines()[:6]


def write_scores(folder, *, last=128):
    """Scores in which every event of the truth is plain to see."""
    folder.mkdir(exist_ok=True)
    for name, events in TRUTH.items():
        scores = np.full((128, 2), 0.1, np.float32)
        for event in events:
            first, end = round(event.onset / FRAME), round(event.offset / FRAME)
            scores[first:end, ("Cat", "Dog").index(event.label)] = 0.9
        text = score_lines(scores[:last], ("Cat", "Dog"), FrontendConfig(), 441000)
        write(folder / name.replace(".wav", ".scores.tsv"), text)


def test_psds_comes_from_scores(evaluate, lists, tmp_path):
    write_scores(tmp_path / "scores")
    code, out, _ = evaluate(*PAIR, "--scores", "scores")
    assert code == 0
    assert "PSDS 1 1.000  PSDS 2 1.000" in out
    assert "PSDS 2: " in out


def test_psds_comes_from_operating_points(evaluate, lists, tmp_path):
    (tmp_path / "points").mkdir()
    write_strong(tmp_path / "points" / "0.5.tsv", TRUTH)
    extra = ("--operating-points", "points", "--durations", "lengths.tsv")
    code, out, _ = evaluate(*PAIR, *extra)
    assert code == 0
    assert "PSDS 1 1.000  PSDS 2 1.000" in out
    assert "operating points in points" in out


def test_a_score_file_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.random((20, 2)).astype(np.float32)
    grid = FrontendConfig(), 60_000  # ends within frame 17
    write(tmp_path / "a.tsv", score_lines(scores, ("Cat", "Dog"), *grid))
    table = read_scores(tmp_path / "a.tsv", ("Dog", "Cow"))
    assert table.scores[:, 0] == pytest.approx(scores[:18, 1], abs=1e-6)
    assert not table.scores[:, 1].any()
    assert table.edges[-1] == pytest.approx(60_000 / RATE, abs=1e-6)
    assert np.diff(table.edges)[:-1] == pytest.approx(FRAME, abs=2e-6)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--reference", "no.tsv", "--estimated", "found.tsv"], "no.tsv"),
        (["--reference", "truth.tsv"], "give --estimated E.tsv, or --model"),
        (["--reference", "truth.tsv", "--model", "x.pt"], "--model needs --audio"),
        ([*PAIR, "--operating-points", "."], "--operating-points needs --durations"),
        (
            [*PAIR, "--scores", "."],
            "no file a.scores",
        ),
        (
            ["--reference", "empty.tsv", "--estimated", "found.tsv"],
            "empty.tsv: the list has no clips",
        ),
    ],
)
def test_what_is_missing_is_reported_on_one_line(
    evaluate, lists, tmp_path, arguments, complaint
):
    (tmp_path / "empty.tsv").write_text("filename\tonset\toffset\tevent_label\n")
    code, out, err = evaluate(*arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_clip_in_a_subfolder_is_refused_instead_of_passed_over(
    evaluate, tmp_path, model_path
):
    write_strong(tmp_path / "truth.tsv", TRUTH | {"night/d.wav": []})
    code, _, err = evaluate(
        *("--reference", "truth.tsv", "--model", model_path, "--audio", tmp_path)
    )
    assert code == 2
    assert (
        "truth.tsv: the clip night/d.wav is in a subfolder; with --model, list" in err
    )


def test_a_model_is_run_as_the_runtime_runs_it(
    evaluate, tmp_path, model_path, streamsed
):
    audio = tmp_path / "audio"
    audio.mkdir()
    time = np.arange(3 * RATE) / RATE
    loud = np.sin(2 * np.pi * 300 * time) * (time > 1)
    soundfile.write(audio / "a.wav", 0.5 * loud, RATE)
    soundfile.write(audio / "b.wav", 1e-3 * np.cos(2 * np.pi * 9000 * time), RATE)
    (audio / "d.wav").write_bytes(b"RIFF")
    write_strong(tmp_path / "truth.tsv", TRUTH | {"d.wav": []})
    code, out, err = evaluate(
        *("--reference", "truth.tsv", "--model", model_path, "--audio", audio),
        *("--estimated", "mine.tsv", "--scores", "scores", "--device", "cpu"),
    )
    assert code == 0, err
    assert "d.wav: not a supported audio file" in err
    assert "2 of 4 clips are not in" in " ".join(out.split())  # c.wav, d.wav
    assert "PSDS 1" in out
    theirs = streamsed("file", audio / "a.wav", audio / "b.wav", "--format", "tsv")
    assert (tmp_path / "mine.tsv").read_text() == theirs.stdout
    assert len(read_strong(tmp_path / "mine.tsv")) == 2
    table = read_scores(tmp_path / "scores" / "a.scores.tsv", ("Dog",))
    assert table.edges[-1] == 3
    assert table.scores.any()
