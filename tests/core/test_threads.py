"""Two threads in one object of the core: the second is refused, and nothing is harmed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from streamsed import _core

N_THREADS = 4
N_CALLS = 150
CHUNK = np.sin(np.arange(20_000, dtype=np.float32))
SCORES = np.tile(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), (5_000, 1))


def log_mel():
    return _core.LogMel(
        sample_rate=44100,
        n_fft=1024,
        win_length=1024,
        hop_length=100,
        n_mels=64,
        fmin=0.0,
        fmax=22050.0,
        amin=1e-10,
    )


def gap_filter():
    half, none = np.full(2, 0.5, np.float32), np.zeros(2, np.int64)
    return _core.GapFilter(
        onset_thresholds=half,
        rise_thresholds=half,
        offset_thresholds=half,
        min_gaps=none,
        min_durations=none,
    )


def together(call, n_calls=N_CALLS):
    """Call from several threads at once; return the results and the refusals."""
    barrier = threading.Barrier(N_THREADS)
    results, refusals = [], []

    def work():
        barrier.wait()
        for _ in range(n_calls):
            try:
                results.append(call())
            except RuntimeError as error:
                refusals.append(str(error))

    with ThreadPoolExecutor(N_THREADS) as threads:
        for done in [threads.submit(work) for _ in range(N_THREADS)]:
            done.result()
    return results, refusals


@pytest.mark.parametrize(
    ("make", "given", "name"),
    [(log_mel, CHUNK, "LogMel"), (gap_filter, SCORES, "GapFilter")],
)
def test_a_second_thread_is_refused_and_every_accepted_push_counts_once(
    make, given, name
):
    shared = make()
    results, refusals = together(lambda: shared.push(given))
    assert set(refusals) == {
        f"{name} is in use by another thread; give each thread its own"
    }
    alone = make()
    expected = [alone.push(given) for _ in results]
    taken = shared.n_samples if name == "LogMel" else shared.n_frames
    assert taken == len(given) * len(results)
    assert sum(map(len, results)) == sum(map(len, expected))
    assert_array_equal(shared.flush(), alone.flush())


@pytest.mark.parametrize(
    ("make", "given", "uses"),
    [
        (log_mel, CHUNK, ["flush", "reset", "n_samples", "n_frames"]),
        (gap_filter, SCORES, ["flush", "reset", "open_runs", "copy", "n_frames"]),
    ],
)
def test_every_use_of_the_state_is_refused_during_a_push(make, given, uses):
    shared = make()
    busy = threading.Event()
    stop = threading.Event()
    given = np.concatenate([given] * 20)

    def push():
        busy.set()
        while not stop.is_set():
            with suppress(RuntimeError):  # the other thread was quicker, or flushed
                shared.push(given)

    thread = threading.Thread(target=push)
    thread.start()
    busy.wait()
    try:
        for use in uses:
            for _ in range(100_000):
                try:
                    used = getattr(shared, use)
                    if callable(used):
                        used()
                    shared.reset()
                except RuntimeError as error:
                    if "in use by another thread" in str(error):
                        break
            else:
                pytest.fail(f"{use} was never refused")
    finally:
        stop.set()
        thread.join()
    shared.reset()
    assert len(shared.push(given))


def test_what_never_changes_can_be_read_meanwhile():
    shared = log_mel()
    _, refusals = together(lambda: (shared.n_mels, shared.latency, shared.simd))
    assert refusals == []


def test_a_thread_may_take_over_from_another_between_calls():
    shared, alone = log_mel(), log_mel()
    with ThreadPoolExecutor(1) as other:
        for _ in range(5):
            assert_array_equal(shared.push(CHUNK), alone.push(CHUNK))
            assert_array_equal(
                other.submit(shared.push, CHUNK).result(), alone.push(CHUNK)
            )


def test_threads_with_their_own_objects_do_not_disturb_each_other():
    frames = log_mel().push(CHUNK)
    expected = _core.triple_norm(frames, 80.0)

    def work():
        mine = log_mel().push(CHUNK)
        return mine, _core.triple_norm(frames, 80.0)

    results, refusals = together(work, n_calls=20)
    assert refusals == []
    for mine, normalised in results:
        assert_array_equal(mine, frames)
        assert_array_equal(normalised, expected)
