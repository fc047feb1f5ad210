"""Continuous evaluation: kept scores against the real Detector, and figures by hand."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, scene
from tiny_model import write_tiny_model

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.pipeline.segmenter import Segmenter
from streamsed.pipeline.trace import Trace
from train.cli import app as cli
from train.datasets.clip_features import score_targets
from train.datasets.scaling import Single
from train.evaluation.continuous.alone import recognise_alone
from train.evaluation.continuous.kept_scores import load_scored, save_scored
from train.evaluation.continuous.latencies import LATENCIES
from train.evaluation.continuous.measures import LIVE, measure_continuous
from train.evaluation.continuous.page import to_markdown
from train.evaluation.continuous.recording_scores import (
    RecordingScores,
    model_scores,
    score_recording,
    segment_ends,
)
from train.evaluation.continuous.recordings import (
    ScoredRecording,
    count_continuous,
    draw_continuous,
    score_continuous,
)
from train.evaluation.continuous.replay import final_scores, replay
from train.evaluation.scoring import scores_to_events
from train.mixing.continuous import ContinuousMixer
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank

FRONTEND = FrontendConfig()
POST = PostConfig(
    onset_threshold={"Dog": 0.7},
    offset_threshold=0.3,
    min_gap=0.3,
    smoothing={"Speech": 0.5},
)
CHUNK = 441

STREAMS = [
    StreamConfig(step=0.25, latency=0.25),
    LIVE,
    StreamConfig(step=0.5, latency=3.0),  # every second segment
    StreamConfig(step=0.25, latency=10.0),  # partial segments do not count
    StreamConfig(step=0.25, latency=1.0, settle=10.0),
    StreamConfig(step=0.25, latency=0.5, settle=3.0),
]


def keep(model, samples, **settings):
    info = model.info
    score = model_scores(model)
    return score_recording(samples, score, info.labels, info.frontend, **settings)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("seconds", [0.01, 6.0, 23.7])
def test_a_replay_is_the_detector_to_the_last_bit(model, stream, seconds):
    samples = scene(seconds)
    detector, trace = Detector(model, stream=stream, post=POST), Trace()
    detector.observer = trace
    changes = []
    for start in range(0, samples.size, CHUNK):
        now = min(start + CHUNK, samples.size) / RATE
        new = detector.push_updates(samples[start : start + CHUNK])
        changes += [(now, change) for change in new]
    changes += [(samples.size / RATE, change) for change in detector.flush_updates()]

    kept = keep(model, samples)
    events, replayed = replay(kept, stream, POST)
    assert [each.update for each in replayed] == [change for _, change in changes]
    for (now, _), each in zip(changes, replayed, strict=True):
        assert now - CHUNK / RATE <= each.time <= now + 1e-9
    closed = [change.event for _, change in changes if change.state == "closed"]
    assert events == sorted(closed)
    assert len(events) > 3 or seconds < 20
    scores = final_scores(kept, stream)
    assert np.array_equal(scores, trace.scores)
    if seconds > 1:  # the last score frame may begin after the end
        found = scores_to_events(scores, kept.labels, POST, FRONTEND)
        assert [e.onset for e in found] == [e.onset for e in events]


SMALL = FrontendConfig(
    sample_rate=8000,
    n_fft=64,
    win_length=64,
    hop_length=16,
    n_mels=4,
    fmax=4000.0,
    segment_frames=32,
    subsampling=4,
)


@given(st.integers(0, 1500), st.integers(1, 8), st.booleans())
def test_segments_end_where_the_segmenter_ends_them(n_samples, step, partial):
    segmenter = Segmenter(SMALL, step=step, partial=partial)
    frames = np.zeros((1 + n_samples // SMALL.hop_length, 4), np.float32)
    whole = [*segmenter.push(frames), *segmenter.flush()]
    assert segment_ends(n_samples, SMALL, step=step, partial=partial) == [
        segment.end for segment in whole
    ]


def test_segments_that_were_not_kept_are_asked_for_in_vain(model):
    kept = keep(model, scene(15.0))
    with pytest.raises(ValueError, match=r"step=0\.6 must be a multiple of the step"):
        replay(kept, StreamConfig(step=0.6, latency=1.0), POST)


def test_any_function_of_segments_will_do_with_any_scaling():
    seen = []

    def score(batch):
        seen.extend(batch)
        return np.full((len(batch), 128, 1), 0.25, np.float16)

    kept = score_recording(
        scene(12.0), score, ("Dog",), FRONTEND, scaling=Single(), dtype=np.float16
    )
    assert kept.scores.dtype == np.float16
    assert len(seen) == len(kept.ends)
    assert all((x.shape, x.min(), x.max()) == ((1024, 128), 0, 1) for x in seen)
    assert np.all(final_scores(kept, LIVE) == 0.25)


def test_kept_scores_survive_the_disk(model, tmp_path):
    kept = keep(model, scene(3.0))
    kept.save(tmp_path / "kept.npz")
    again = RecordingScores.load(tmp_path / "kept.npz")
    assert np.array_equal(again.scores, kept.scores)
    assert np.array_equal(again.ends, kept.ends)
    assert (again.n_samples, again.labels, again.frontend) == (
        kept.n_samples,
        kept.labels,
        kept.frontend,
    )
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad\.npz: not the scores of a recording"):
        RecordingScores.load(tmp_path / "bad.npz")


def known(part, reference, seconds, score, others=()):
    """A recording whose every segment has the scores that `score` makes of the truth."""
    labels = ("Cat", "Dog")
    n_samples = round(seconds * RATE)
    ends = segment_ends(n_samples, FRONTEND, step=3, partial=True)
    truth = score_targets(reference, labels, ends[-1], FRONTEND.score_frame_duration)
    views = np.zeros((len(ends), 128, len(labels)), np.float32)
    for row, end in enumerate(ends):
        start = max(0, end - 128)
        views[row, : end - start] = score(truth[start:end])
    scores = RecordingScores(views, np.array(ends), n_samples, labels, FRONTEND)
    beds = [Event("rain", 0.0, seconds, 1.0)]
    return ScoredRecording(part, scores, reference, list(others), beds)


REFERENCE = [
    Event("Cat", 2.0, 4.0, 1.0),
    Event("Dog", 8.0, 16.0, 1.0),
    Event("Cat", 20.0, 21.0, 1.0),
]


def measured(score):
    recordings = [
        known("events", REFERENCE, 60.0, score),
        known("backgrounds", [], 60.0, score),
        known(
            "others",
            [],
            30.0,
            score,
            [Event("saw", 3.0, 5.0, 1.0), Event("door", 9.0, 9.5, 1.0)],
        ),
        known("steady", [Event("Dog", 5.0, 35.0, 1.0)], 40.0, score),
    ]
    return measure_continuous(recordings, lambda _: PostConfig())


def test_who_knows_everything_has_the_best_figures():
    result = measured(lambda truth: 0.05 + 0.9 * truth)
    assert result["n_events"] == {"Cat": 2, "Dog": 1}
    assert [row["latency"] for row in result["by_latency"]] == list(LATENCIES)
    for name in ("live", "settled"):
        stream = result[name]
        assert (stream["event_f1_macro"], stream["event_f1_micro"]) == (1.0, 1.0)
        assert stream["fates"]["right"] == 1.0
        assert stream["announced"]["never"] == 0
        assert stream["psds1"] == pytest.approx(1.0, abs=0.01)
        assert stream["false_announcements_per_hour"] == 0
        assert set(stream["false_per_hour"].values()) == {0}
        assert stream["backgrounds"]["events"] == stream["others"]["triggering"] == 0
        assert stream["steady"]["Dog"]["events_per_sound"] == 1
        assert stream["steady"]["Dog"]["covered"] == pytest.approx(1.0, abs=0.01)
    live, settled = result["live"]["announced"], result["settled"]["announced"]
    assert 0.2 < live["median"] < 0.6  # the shortest event, and up to a step
    assert live["within_1_s"] == 1.0
    assert settled["within_1_s"] == 1.0  # two lie before the first whole segment ends


def test_who_detects_nothing_misses_everything():
    result = measured(np.zeros_like)
    stream = result["live"]
    assert stream["fates"]["missed"] == 1.0
    assert stream["announced"] == {
        "n": 3,
        "never": 1.0,
        "median": None,
        "p90": None,
        "within_1_s": 0.0,
    }
    assert stream["steady"]["Dog"] == {
        "sounds": 1,
        "events_per_sound": 0,
        "covered": 0,
        "other_labels_per_sound": 0,
    }


def test_who_always_detects_a_cat_is_counted_everywhere():
    def cat(truth):
        return np.stack([np.full(len(truth), 0.9), np.zeros(len(truth))], axis=1)

    stream = measured(cat)["settled"]
    assert stream["fates_per_label"]["Dog"]["wrong label"] == 1.0
    assert stream["fates_per_label"]["Cat"]["merged"] == 1.0
    assert stream["false_per_hour"]["wrong ends"] == 60
    assert stream["announced_per_label"]["Cat"]["never"] == 1  # one announcement, at 0
    assert stream["announced_per_label"]["Dog"]["never"] == 1
    assert stream["backgrounds"] == {
        "events": 1,
        "per_hour": 60.0,
        "by_kind": {"rain": {"Cat": 1}},
    }
    assert (stream["others"]["sounds"], stream["others"]["triggering"]) == (2, 2)
    assert stream["others"]["by_kind"] == {"door": {"Cat": 1}, "saw": {"Cat": 1}}
    assert stream["steady"]["Dog"]["other_labels_per_sound"] == 1


def test_without_events_there_is_nothing_to_measure():
    only = [known("backgrounds", [], 10.0, np.zeros_like)]
    with pytest.raises(ValueError, match="recordings must include one of part=events"):
        measure_continuous(only, lambda _: PostConfig())


LABELS = ("Beeping", "Chirping", "Hissing", "Humming")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    for path in (folder / "foreground/Knocking").iterdir():
        path.unlink()  # the tests' model has one band of the spectrum for each of four
    return folder


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "four.pt", LABELS)


def test_all_parts_are_drawn_and_kept_on_disk(folder, tmp_path):
    mixer = ContinuousMixer(Soundbank.load(folder, split="validation"))

    def score(batch):
        return np.zeros((len(batch), 128, 4), np.float32)

    drawn = list(draw_continuous(mixer, n=2, duration=30.0, seed=1))
    assert len(drawn) == count_continuous(mixer, n=2)
    assert [part for part, _ in drawn] == [
        "events",
        "events",
        "backgrounds",
        "others",
        "steady",
        "steady",
    ]
    scored = list(score_continuous(drawn, score, LABELS, FRONTEND))
    save_scored(tmp_path / "kept", scored)
    for one, other in zip(scored, load_scored(tmp_path / "kept"), strict=True):
        assert (one.part, one.events, one.others, one.beds) == (
            other.part,
            other.events,
            other.others,
            other.beds,
        )
        assert np.array_equal(one.scores.scores, other.scores.scores)


def test_recordings_alone_get_the_label_of_the_highest_score(folder):
    bank = Soundbank.load(folder)
    calls = iter(range(100))

    def always_chirps(batch):
        scores = np.zeros((len(batch), 128, 4), np.float32)
        for row in scores:
            row[next(calls) % 128, 1] = 0.1
        return scores

    result = recognise_alone(bank, always_chirps, LABELS, FRONTEND)
    assert result["recordings"] == 20
    assert result["right_macro"] == 0.25
    assert result["right_per_label"]["Chirping"] == 1.0
    assert result["confusions"]["Humming"] == dict.fromkeys(LABELS, 0) | {"Chirping": 5}


@pytest.fixture
def evaluate(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_the_command_prints_tables_and_writes_every_number(
    evaluate, folder, path, tmp_path
):
    code, out, err = evaluate(
        path,
        "--continuous",
        "--soundbank",
        folder,
        "--recordings",
        1,
        "--minutes",
        0.5,
        "--json",
        tmp_path / "all.json",
        "--device",
        "cpu",
    )
    assert (code, err) == (0, "")
    result = json.loads((tmp_path / "all.json").read_text())
    flowing = " ".join(out.split())
    assert f"Recordings of {folder}: split validation. " in flowing
    assert result["splits"] == {str(folder): "validation"}
    assert "Live, at a latency of 1 s (%):" in flowing
    assert "Settled, at a latency of 10 s (%):" in flowing
    assert "Backgrounds alone: " in flowing
    assert "Other sounds one after another: " in flowing
    for label, row in result["live"]["steady"].items():
        assert f"{label} {row['sounds']} {row['events_per_sound']:.1f}" in flowing
    rows = [line.split() for line in out.splitlines() if line.split()]
    macro = f"{100 * result['by_latency'][0]['event_f1_macro']:.1f}"
    assert any(row[:2] == ["0.25", macro] for row in rows)
    alone = result["alone"][str(folder)]
    assert ["macro", f"{100 * alone['right_macro']:.1f}"] in rows


def test_markdown_has_the_same_tables_whole():
    result = measured(lambda truth: 0.05 + 0.9 * truth)
    text = to_markdown(result | {"command": "python -m train", "place": "cpu"})
    assert text.startswith("Measured by `python -m train` (cpu).")
    tables = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 5  # latencies; labels and steady sounds, live and settled
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    reported = result["live"]["announced"]
    row = f"| 1 | 100.0 | 100.0 | 1.000 | 0.0 | 100.0 | {reported['median']:.2f} |"
    assert row in tables[0]


def test_a_page_says_of_each_bank_which_recordings_were_measured_on():
    result = measured(lambda truth: truth) | {"splits": {"a": "validation", "b": None}}
    text = to_markdown(result)
    assert "\n\nRecordings of a: split validation.\n\n" in text
    assert "Recordings of b: all files; if the model was trained on some" in text
    assert "the figures are too good." in text


def test_only_held_out_recordings_are_measured_on_unless_all_are_asked_for(
    evaluate, folder, model_path, tmp_path
):
    bank = tmp_path / "bank"
    shutil.copytree(folder, bank)
    manifest = bank / "manifest.csv"
    rows = manifest.read_text().splitlines()
    rows = [row for row in rows if not re.search("Hum.*validation", row)]
    manifest.write_text("\n".join(rows))

    def measured_labels(*options):
        code, _, error = evaluate(
            model_path, "--continuous", "--soundbank", bank, *options
        )
        assert code == 2  # the model has other labels: nothing is scored
        return error.partition("those of the soundbank (")[2].strip()

    some = "Beeping, Chirping, Hissing"
    assert measured_labels() == f"{some}; split validation)"
    assert measured_labels("--split", "train") == f"{some}, Humming; split train)"
    assert measured_labels("--everything") == f"{some}, Humming; all files)"
    left_out = tmp_path / "audit.csv"
    beeps = [path.relative_to(bank) for path in bank.glob("foreground/Beeping/*")]
    left_out.write_text(
        "\n".join(["path,decision", *(f"{path},drop" for path in beeps)])
    )
    fewer = measured_labels("--leave-out", left_out)
    assert fewer == "Chirping, Hissing; split validation)"
    manifest.unlink()
    assert measured_labels() == f"{some}, Humming; all files)"


def test_what_the_command_lacks_is_named(evaluate, folder, path, model_path):
    assert "--continuous needs MODEL and --soundbank" in evaluate("--continuous")[2]
    code, _, err = evaluate(path, "--model", "default", "--continuous")
    assert (code, "the model is given twice" in err) == (2, True)
    code, _, err = evaluate(model_path, "--continuous", "--soundbank", folder)
    assert (code, "are not those of the soundbank (Beeping" in err) == (2, True)
    code, _, err = evaluate("--estimated", "found.tsv")
    assert (code, "give --reference R.tsv, or --continuous" in err) == (2, True)
    assert "Traceback" not in err
