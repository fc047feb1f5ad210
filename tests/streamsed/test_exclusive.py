"""Stages belong to one thread at a time, and say so."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamsed.audio.resample import ChannelResampler
from streamsed.config import FrontendConfig
from streamsed.exclusive import InUse, exclusive
from streamsed.pipeline.extractor import SegmentExtractor
from streamsed.pipeline.lifecycle import EventLifecycle
from streamsed.pipeline.segmenter import Segmenter
from streamsed.pipeline.stitcher import ScoreFrames, Stitcher

REFUSAL = "Stage is in use by another thread; give each thread its own"


class Stage:
    def __init__(self):
        self._in_use = InUse("Stage")
        self.inside = threading.Event()
        self.leave = threading.Event()

    @exclusive
    def push(self, chunk, *, hurry=False):
        """Push."""
        self.inside.set()
        assert self.leave.wait(10)
        return chunk, hurry

    @exclusive
    def steps(self, n):
        for i in range(n):
            if i == 1:
                self.inside.set()
                assert self.leave.wait(10)
            yield i

    @exclusive
    def reset(self):
        return "reset"

    @exclusive
    def nested(self):
        return self.reset()


@pytest.fixture
def busy():
    """A stage with another thread inside its `push`."""
    stage = Stage()
    with ThreadPoolExecutor(1) as other:
        result = other.submit(stage.push, 1, hurry=True)
        assert stage.inside.wait(10)
        try:
            yield stage
        finally:
            stage.leave.set()
        assert result.result() == (1, True)  # it has not noticed


def test_a_second_thread_is_refused(busy):
    for use in (lambda: busy.push(1), busy.reset, lambda: next(busy.steps(2))):
        with pytest.raises(RuntimeError, match=REFUSAL):
            use()


def test_a_stage_is_free_again_after_a_call(busy):
    busy.leave.set()
    while True:
        try:
            assert busy.reset() == "reset"
            break
        except RuntimeError:
            continue
    assert busy.push(2) == (2, False)


def test_a_stage_is_free_again_after_an_error():
    stage = Stage()
    with pytest.raises(TypeError):
        stage.push()
    with pytest.raises(TypeError):
        next(stage.steps("3"))
    with ThreadPoolExecutor(1) as other:
        assert other.submit(stage.reset).result() == "reset"


def test_a_thread_inside_may_call_again():
    assert Stage().nested() == "reset"


def test_a_step_of_a_generator_is_a_call():
    stage = Stage()
    with ThreadPoolExecutor(1) as other:
        rest = other.submit(list, stage.steps(3))
        assert stage.inside.wait(10)
        with pytest.raises(RuntimeError, match=REFUSAL):
            stage.reset()
        stage.leave.set()
        assert rest.result() == [0, 1, 2]


def test_a_generator_cannot_continue_after_another_call():
    stage = Stage()
    stage.leave.set()
    first = stage.steps(3)
    assert next(first) == 0
    assert list(stage.steps(2)) == [0, 1]
    with pytest.raises(RuntimeError, match=REFUSAL):
        next(first)
    second = stage.steps(3)
    assert next(second) == 0
    stage.reset()
    with pytest.raises(RuntimeError, match=REFUSAL):
        next(second)


def test_a_generator_that_was_left_does_not_keep_the_stage_alive():
    stage = Stage()
    steps = stage.steps(3)
    next(steps)
    gone = weakref.ref(stage)
    gc.disable()
    try:
        del steps, stage
        assert gone() is None
    finally:
        gc.enable()


def test_a_marked_method_keeps_its_name_and_docstring():
    assert (Stage.push.__name__, Stage.push.__doc__) == ("push", "Push.")


FRONTEND = FrontendConfig()
SEGMENT = np.zeros((128, 2), np.float32)
CHUNK = np.zeros(100, np.float32)
STAGES = {
    "Segmenter": (
        lambda: Segmenter(FRONTEND, step=8, partial=False),
        [
            lambda s: list(s.push(np.zeros((9, 128), np.float32))),
            lambda s: list(s.flush()),
            lambda s: s.reset(),
        ],
    ),
    "Stitcher": (
        lambda: Stitcher(n_labels=1, segment_length=128, latency=8),
        [
            lambda s: s.push(ScoreFrames(SEGMENT[:, :1], SEGMENT[:, 1]), 0, 128),
            lambda s: s.advance(128),
            lambda s: s.pending(),
            lambda s: s.flush(),
            lambda s: s.reset(),
        ],
    ),
    "SegmentExtractor": (
        lambda: SegmentExtractor(FRONTEND, step=8, partial=False),
        [
            lambda s: list(s.push(CHUNK)),
            lambda s: list(s.flush()),
            lambda s: s.reset(),
        ],
    ),
    "EventLifecycle": (
        EventLifecycle,
        [
            lambda s: s.push([]),
            lambda s: s.revise([], []),
            lambda s: s.flush(),
            lambda s: s.reset(),
        ],
    ),
    "ChannelResampler": (
        lambda: ChannelResampler(44100, 16000),
        [lambda s: s.push(CHUNK[:, None]), lambda s: s.flush()],
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_every_use_of_a_stage_is_refused_to_a_second_thread(name):
    make, uses = STAGES[name]
    with ThreadPoolExecutor(1) as other:
        for use in uses:
            stage = make()
            other.submit(stage._in_use.__enter__).result()
            with pytest.raises(RuntimeError, match=f"^{name} is in use by another"):
                use(stage)
            other.submit(stage._in_use.__exit__).result()
            use(stage)


def test_four_threads_in_one_resampler_end_in_errors_not_in_a_crash():
    resampler = ChannelResampler(44100, 16000)
    block = np.random.default_rng(0).random((50_000, 1)).astype(np.float32)
    barrier = threading.Barrier(4)
    lengths, refusals = [], []

    def work():
        barrier.wait()
        for _ in range(100):
            try:
                lengths.append(len(resampler.push(block)))
            except RuntimeError as error:
                refusals.append(str(error))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work) for _ in range(4)]:
            done.result()
    assert refusals
    total = sum(lengths) + len(resampler.flush())
    assert total == pytest.approx(len(lengths) * 50_000 * 16000 / 44100, abs=2)
