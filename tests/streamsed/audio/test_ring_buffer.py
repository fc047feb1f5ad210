import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.audio.ring_buffer import Ring


def numbered(first, count, n_channels=1):
    """Samples that say their own position, and their channel after the point."""
    positions = np.arange(first, first + count, dtype=np.float32)[:, None]
    return positions + np.arange(n_channels, dtype=np.float32) / 8


@given(
    st.integers(1, 40),
    st.integers(1, 3),
    st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=40),
)
def test_a_ring_is_a_queue_that_forgets_the_oldest(capacity, n_channels, calls):
    ring = Ring(capacity, n_channels)
    n_written = n_read = n_lost = 0
    for size in [*calls, None]:
        if size is not None:
            ring.write(numbered(n_written, size, n_channels))
            n_written += size
        else:
            samples, lost = ring.read()
            waiting = n_written - n_read - n_lost
            assert lost == max(0, waiting - capacity)
            n_lost += lost
            expected = numbered(n_read + n_lost, min(waiting, capacity), n_channels)
            assert np.array_equal(samples, expected)
            n_read += len(samples)
        assert ring.n_waiting == n_written - n_read - n_lost
    assert n_read + n_lost == n_written


def test_what_was_read_is_not_changed_by_later_writes():
    ring = Ring(4, 1)
    ring.write(numbered(0, 4))
    samples, _ = ring.read()
    ring.write(numbered(100, 4))
    assert np.array_equal(samples, numbered(0, 4))


@pytest.mark.parametrize("capacity", [257, 50_000])
def test_two_threads_lose_nothing_uncounted(capacity):
    total, rng = 300_000, np.random.default_rng(capacity)
    sizes = rng.integers(1, 2 * min(capacity, 1000), total)
    ring, pieces = Ring(capacity, 1), []
    # Positions must be exact as float32, hence below 2**24.
    done = threading.Event()

    def write():
        n_written = 0
        for size in sizes:
            ring.write(numbered(n_written, min(size, total - n_written)))
            n_written += min(size, total - n_written)
            if n_written == total:
                break
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    last = False
    while not last:
        last = done.is_set()  # before the read: this one sees everything
        pieces.append(ring.read())
    writer.join()
    position = 0
    for samples, n_lost in pieces:
        position += n_lost
        assert np.array_equal(samples, numbered(position, len(samples)))
        position += len(samples)
    assert position == total


@pytest.mark.parametrize(("capacity", "n_channels"), [(0, 1), (-1, 1), (4, 0)])
def test_a_ring_without_room_is_refused(capacity, n_channels):
    with pytest.raises(ValueError, match=f"capacity={capacity}"):
        Ring(capacity, n_channels)
