"""Scores of pieces are those of the whole, to the last bit."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsed.audio.decode import audio_info, file_chunks
from streamsed.config import FrontendConfig, StreamConfig
from streamsed.corpus.pieces import WHOLE, PieceScorer, RecordingPiece, cut
from streamsed.corpus.worker import Assembly
from streamsed.detector import Detector
from streamsed.pipeline.trace import Trace

FRONTEND = FrontendConfig()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(path, sounds.scene(70.3, seed=5), sounds.RATE)
    return path


def scores_of(scorer, path, piece):
    done = list(scorer.score(scorer.extract(path, piece), piece))
    return np.concatenate([scores for scores, _ in done]), done[-1][1]


@pytest.mark.parametrize(
    "stream", [StreamConfig(), StreamConfig(1.3, 2.0), StreamConfig(3.0, 7.0)]
)
@given(bounds=st.lists(st.integers(1, 895), max_size=5, unique=True).map(sorted))
@settings(max_examples=6)
def test_pieces_cut_anywhere_give_the_scores_and_events_of_the_whole(
    model, recording, stream, bounds
):
    detector, trace = Detector(model, stream=stream), Trace()
    events = list(detector.events(file_chunks(recording), observer=trace))
    scorer = PieceScorer(model, stream)
    starts = [0, *bounds]
    pieces = [
        RecordingPiece(*pair) for pair in zip(starts, [*bounds, None], strict=True)
    ]
    done = [scores_of(scorer, recording, piece) for piece in pieces]
    assert np.array_equal(np.concatenate([scores for scores, _ in done]), trace.scores)

    wanted = SimpleNamespace(post=model.info.post, labels=model.info.labels)
    assembly = Assembly(model.info.labels, wanted, FRONTEND)
    for scores, _ in done:
        assembly.push(scores)
    assert events
    assert assembly.finish(done[-1][1]) == sorted(events)


def test_a_whole_recording_is_one_piece(model, recording):
    trace = Trace()
    list(Detector(model).events(file_chunks(recording), observer=trace))
    scores, n_samples = scores_of(PieceScorer(model, StreamConfig()), recording, WHOLE)
    assert np.array_equal(scores, trace.scores)
    assert n_samples == audio_info(recording).n_frames


@given(n_samples=st.integers(0, 10**8), duration=st.floats(10, 4000))
def test_pieces_follow_each_other_and_none_is_longer_than_twice_the_wish(
    n_samples, duration
):
    pieces = cut(n_samples, duration, FRONTEND)
    assert pieces[0].first == 0
    assert pieces[-1].last is None
    for before, after in pairwise(pieces):
        assert before.last == after.first > before.first
    last = n_samples / FRONTEND.sample_rate
    last -= pieces[-1].first * FRONTEND.score_frame_duration
    assert last < 2 * duration + 1


@pytest.mark.parametrize("container", ["flac", "wav", "aiff"])
@given(start=st.integers(1, 99_999))
@settings(max_examples=20)
def test_a_recording_begun_anywhere_has_the_samples_of_the_whole(
    tmp_path_factory, container, start
):
    path = tmp_path_factory.getbasetemp() / f"anywhere.{container}"
    if not path.exists():
        noise = np.random.default_rng(1).uniform(-1, 1, (100_000, 2))
        soundfile.write(path, noise, 44100)
    whole = np.concatenate(list(file_chunks(path)))
    rest = np.concatenate(list(file_chunks(path, start=start)))
    assert np.array_equal(rest, whole[start:])


@pytest.mark.parametrize(("name", "rate"), [("a.ogg", 44100), ("a.flac", 48000)])
def test_what_cannot_be_begun_anywhere_is_refused(tmp_path, name, rate):
    path = tmp_path / name
    soundfile.write(path, sounds.scene(2, rate=rate), rate)
    assert not audio_info(path).starts_anywhere(44100)
    with pytest.raises(ValueError, match="start=44100 must be 0"):
        next(file_chunks(path, start=44100))


def test_a_start_past_what_is_there_says_that_the_file_is_cut_off(tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, sounds.scene(4), sounds.RATE)
    path.write_bytes(path.read_bytes()[: 2 * sounds.RATE])
    with pytest.raises(ValueError, match="truncated after 1"):
        next(file_chunks(path, start=3 * sounds.RATE))
