import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from listening import Given, audio_pieces, bursts
from sounds import RATE

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.inference.model_file import ModelInfo
from streamsed.live.listener import Listener
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.speech_guard import MAX_LIMIT, SpeechGuard, speech_limit
from streamsed.pipeline.stitcher import ScoreFrames

GRID = FrontendConfig()
FRAME = GRID.score_frame_duration


def info(post=None, labels=("Dog", "Speech")):
    return ModelInfo("some", labels, GRID, StreamConfig(), post or PostConfig())


class Scored:
    """A detector that has scored something already."""

    observer = None

    def __init__(self, pending):
        self._pending = pending

    def pending(self):
        return frames(self._pending)


def frames(speech):
    column = np.array(speech, np.float32)
    return ScoreFrames(np.stack([column * 0, column], axis=1), column)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.31, 0.9]), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(0, 45),
    st.integers(0, 45),
)
def test_a_stretch_has_speech_if_one_of_its_frames_does(scores, n_final, a, b):
    guard = SpeechGuard(info())
    guard.watch(Scored(scores[n_final:]))
    guard.add_scores(frames(scores[:n_final]))
    first, last = sorted((a, b))
    found = guard.has_speech(first * FRAME + 1e-6, last * FRAME - 1e-6)
    expected = last > len(scores) or any(s >= 0.3 for s in scores[first:last])
    assert found is bool(expected)


def test_what_is_too_long_ago_is_not_known_and_memory_is_bounded():
    guard = SpeechGuard(info())
    guard.watch(Scored([]))
    for _ in range(300):
        guard.add_scores(frames([0.0] * 100))
    assert len(guard._final) * FRAME < 160
    assert guard.has_speech(0.0, 1.0)
    assert not guard.has_speech(30_000 * FRAME - 120, 30_000 * FRAME - 1)


@pytest.mark.parametrize("name", ["rise_threshold", "offset_threshold"])
def test_the_limit_is_the_lowest_threshold_and_never_high(name):
    assert speech_limit(info(PostConfig(0.9))) == MAX_LIMIT
    low = speech_limit(info(PostConfig(0.5, **{name: {"Speech": 0.1}})))
    assert low < 0.1


def test_a_model_that_knows_no_speech_is_refused():
    with pytest.raises(ValueError, match="--save-speech to save all clips"):
        SpeechGuard(info(labels=("Dog", "Cat")))


def clips_of(model, folder, events, *, guarded):
    folder.mkdir()
    detector = Detector(model, stream=StreamConfig(0.5, 1.0, settle=4.0))
    guard = SpeechGuard(model.info) if guarded else None
    if guard is not None:
        guard.watch(detector)
    clips = ClipSink(ClipFolder(folder, max_bytes=10**9), sample_rate=RATE, guard=guard)
    samples = bursts(events, 14.0)
    reads = [[piece] for piece in audio_pieces(samples, [RATE // 4] * 55)]
    Listener(detector, Given(reads, lossless=True), [clips]).run()
    return clips, sorted(folder.iterdir())


def test_no_clip_on_the_disk_has_speech_even_before_its_event(model, tmp_path):
    folder = tmp_path
    # A word ends shortly before the second dog: in its pre-roll, not in its event.
    events = [
        ("Dog", 2.0, 1.0),
        ("Speech", 5.8, 0.5),
        ("Dog", 7.0, 1.0),
        ("Dog", 11.0, 1.0),
    ]
    _, everything = clips_of(model, folder / "all", events, guarded=False)
    sink, kept = clips_of(model, folder / "kept", events, guarded=True)
    speechless = []
    for path in everything:
        clip, _ = soundfile.read(path, dtype="float32")
        spectrum = np.abs(np.fft.rfft(clip))
        frequency = np.fft.rfftfreq(len(clip), 1 / RATE)
        low = spectrum[(frequency > 250) & (frequency < 350)].max()
        if low < 0.05 * spectrum.max():
            speechless.append(path)
    assert len(everything) > len(speechless) > 0
    assert {len(soundfile.read(p)[0]) for p in kept} <= {
        len(soundfile.read(p)[0]) for p in speechless
    }
    assert len(kept) == len(speechless)
    assert sink.notices() == [
        f"clips: {len(everything) - len(kept)} not saved because of speech"
    ]
