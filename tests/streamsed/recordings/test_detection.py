import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal
from sounds import RATE, scene

from streamsed.audio.decode import file_chunks
from streamsed.config import FrontendConfig, StreamConfig
from streamsed.corpus.pieces import WHOLE, PieceScorer
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.pipeline.trace import Trace
from streamsed.recordings.detection import (
    Detection,
    Recording,
    detect,
    differs_in_chunks,
    extract,
    find_recordings,
    recut,
)
from streamsed.recordings.prefetch import prefetch_each


@pytest.fixture
def folder(tmp_path):
    for name in ("one/a.wav", "one/b.wav", "two/a.wav", "two/deep/c.wav", "none/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path.with_suffix(".wav"), np.zeros(RATE), RATE)
        path.with_suffix(".wav").rename(path)
    return tmp_path


def names_of(paths, *, recursive=False):
    recordings, errors = find_recordings(paths, recursive=recursive)
    return [recording.name for recording in recordings], errors


def test_a_file_is_called_by_its_name(folder):
    names, errors = names_of([folder / "one/b.wav", folder / "two/a.wav"])
    assert (names, errors) == (["b.wav", "a.wav"], [])


def test_a_file_in_a_folder_is_called_by_its_path_below_it(folder):
    names, errors = names_of([folder / "two"], recursive=True)
    assert (names, errors) == (["a.wav", "deep/c.wav"], [])
    assert names_of([folder / "two"]) == (["a.wav"], [])


def test_two_files_of_one_name_are_called_by_their_whole_paths(folder):
    names, _ = names_of([folder / "one", folder / "two"])
    assert names == [str(folder / "one/a.wav"), "b.wav", str(folder / "two/a.wav")]


def test_a_file_that_is_named_twice_is_done_once(folder):
    names, _ = names_of([folder / "one/a.wav", folder / "one", folder / "one/a.wav"])
    assert names == ["a.wav", "b.wav"]


def test_a_path_that_gives_nothing_is_reported_and_the_rest_continue(folder):
    (folder / "one/a.wav").write_text("no audio")
    paths = [folder / "none", folder / "one", folder / "missing.wav"]
    names, errors = names_of(paths)
    assert names == ["b.wav"]
    assert [error.split(": ")[0] for error in errors] == [
        str(folder / "none"),
        str(folder / "one/a.wav"),
        str(folder / "missing.wav"),
    ]


def test_the_system_s_reason_is_put_as_in_every_other_line(folder):
    path = folder / ("a" * 300)
    assert names_of([path]) == ([], [f"{path}: file name too long"])


def test_recordings_of_a_folder_that_cannot_be_read_are_not_passed_over_silently(
    folder, capsys
):
    for name in ("two/b.m4a", "two/c.MP4", "two/deep/d.wma", "two/notes.txt"):
        (folder / name).touch()
    assert names_of([folder / "two"]) == (["a.wav"], [])
    said = capsys.readouterr().err
    assert "2 recordings in other formats (.m4a, .mp4) passed over; convert" in said
    assert said.startswith(f"streamsed: {folder / 'two'}: ")
    names_of([folder / "two"], recursive=True)
    assert "3 recordings in other formats (.m4a, .mp4, .wma)" in capsys.readouterr().err
    names_of([folder / "one"])
    assert capsys.readouterr().err == ""


def test_a_recording_knows_its_duration(folder):
    (recording,), _ = find_recordings([folder / "one/b.wav"], recursive=False)
    assert recording.duration == 1.0


def test_detect_gives_sorted_events_and_the_length(model, tmp_path):
    samples = scene(12)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    reported, trace = [], Trace()
    detector = Detector(model)
    found = detect(
        detector, Recording(path, "a.wav"), trace=trace, on_samples=reported.append
    )
    assert found.events == sorted(detector.events([samples]))
    assert len(found.events) > 3
    assert found.n_samples == sum(reported) == len(samples)
    assert found.trace is trace
    assert len(trace.scores) > 0


def test_a_stream_in_random_chunks_does_not_differ(model, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, scene(12), RATE)
    detector = Detector(model)
    found = detect(detector, Recording(path, "a.wav"))
    n_chunks, different = differs_in_chunks(detector, found, seed=1)
    assert n_chunks > 20
    assert different == []


def test_an_event_more_or_less_is_a_difference(model, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, scene(12), RATE)
    detector = Detector(model)
    recording = Recording(path, "a.wav")
    events = detect(detector, recording).events
    less = Detection(recording, events[1:], 12 * RATE)
    assert differs_in_chunks(detector, less, seed=1)[1] == events[:1]
    extra = Event("Dog", 20.0, 21.0, 0.5)
    more = Detection(recording, [*events, extra], 12 * RATE)
    assert differs_in_chunks(detector, more, seed=1)[1] == [extra]


def test_recut_keeps_every_sample_and_cuts_again():
    samples = np.arange(300_000, dtype=np.float32)
    chunks = list(recut(np.split(samples, 3), np.random.default_rng(1)))
    assert_array_equal(np.concatenate(chunks), samples)
    sizes = [len(chunk) for chunk in chunks]
    assert 0 in sizes
    assert min(size for size in sizes if size) < 10
    assert max(sizes) > 10_000
    assert len(sizes) > 20


def test_a_recut_recording_may_be_empty():
    assert sum(map(len, recut([], np.random.default_rng(1)))) == 0


def test_a_bad_recording_is_named(model, tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("no audio")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        detect(Detector(model), Recording(Path(path), "a.wav"))


def test_what_is_scored_ahead_gives_what_is_scored_in_its_turn(model, tmp_path):
    recordings = []
    for seed, seconds in enumerate((1, 12, 0.2, 25)):
        path = tmp_path / f"{seed}.wav"
        soundfile.write(path, scene(seconds, seed=seed), RATE)
        recordings.append(Recording(path, path.name))
    detector = Detector(model, stream=StreamConfig(step=0.5, latency=1.0))
    expected = [detect(detector, recording) for recording in recordings]
    assert any(found.events for found in expected)
    with ThreadPoolExecutor(2) as scorers:
        turns = prefetch_each(
            recordings, lambda r: extract(detector, r, scorers), n_begun=3, length=4
        )
        assert [detect(detector, r, extracted) for r, extracted in turns] == expected


def test_a_recording_is_read_at_the_rate_of_the_model(tmp_path, make_model):
    grid = FrontendConfig(sample_rate=22050, fmax=11025.0)
    path = make_model(tmp_path / "m.pt", changes={"frontend": grid.to_dict()})
    detector = Detector.load(path, device="cpu")
    audio = tmp_path / "a.wav"
    soundfile.write(audio, scene(3.0), RATE)
    found = detect(detector, Recording(audio, "a.wav"))
    assert found.n_samples == 3 * 22050
    expected = sorted(detector.events(file_chunks(audio, sample_rate=22050)))
    assert found.events == expected != []
    assert differs_in_chunks(detector, found, seed=0)[1] == []
    scorer = PieceScorer(detector.model, detector.stream)
    *_, (_, n_samples) = scorer.score(scorer.extract(audio, WHOLE), WHOLE)
    assert n_samples == found.n_samples
