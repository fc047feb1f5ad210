"""Work ahead: in order, bounded, stopped with its reader, errors where they belong."""

import itertools
import sys
import threading
import time

import pytest

from streamsed.recordings.prefetch import Prefetch, prefetch_each


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def counting(seen, items):
    for item in items:
        seen.append(item)
        yield item


@pytest.mark.parametrize("length", [1, 3, 100])
def test_items_come_in_their_order(length):
    with Prefetch(range(50), length=length) as prefetch:
        assert list(prefetch) == list(range(50))


def test_it_runs_ahead_as_far_as_it_may_and_no_farther():
    seen = []
    with Prefetch(counting(seen, itertools.count()), length=4) as prefetch:
        wait_until(lambda: len(seen) == 5)  # four wait, and one is in hand
        time.sleep(0.05)
        assert len(seen) == 5
        taken = list(itertools.islice(prefetch, 3))
        assert taken == [0, 1, 2]
        wait_until(lambda: len(seen) == 7)  # the third is not done with yet


def test_an_error_comes_where_its_item_would_have():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    with Prefetch(items(), length=9) as prefetch:
        reading = iter(prefetch)
        assert [next(reading), next(reading)] == [1, 2]
        with pytest.raises(ValueError, match="the third"):
            next(reading)


def is_interrupted(reading, n):
    """Take an item, interrupted at the n-th line on the way to it, if there are as many."""
    seen = itertools.count(1)

    def trace(_frame, event, _argument):
        if event == "line" and next(seen) == n:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        next(reading)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_it_can_be_closed_wherever_its_reader_was_interrupted():
    for n in itertools.count(1):
        items = []
        prefetch = Prefetch(counting(items, itertools.count()), length=1)
        reading = iter(prefetch)
        assert next(reading) == 0
        wait_until(lambda items=items: len(items) == 2)  # one waits for room
        if not is_interrupted(reading, n):
            break
        time.sleep(0.01)  # for the thread to wait again
        closing = threading.Thread(target=prefetch.close, daemon=True)
        closing.start()
        closing.join(30)
        assert not closing.is_alive(), f"interrupted at line {n}"
    prefetch.close()
    assert n > 1


def test_closing_ends_the_thread_though_items_remain():
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    prefetch = Prefetch(itertools.count(), length=2)
    assert next(iter(prefetch)) == 0
    assert len(set(threading.enumerate()) - before) == 1
    prefetch.close()
    assert set(threading.enumerate()) <= before


def test_several_are_begun_and_given_one_after_another():
    begun, lock = [], threading.Lock()

    def iterate(source):
        with lock:
            begun.append(source)
        yield from range(source)

    turns = prefetch_each(range(5), iterate, n_begun=3, length=8)
    source, items = next(turns)
    wait_until(lambda: sorted(begun) == [0, 1, 2])
    found = {source: list(items)}
    for source, items in turns:
        found[source] = list(items)
    assert found == {n: list(range(n)) for n in range(5)}
    assert sorted(begun) == list(range(5))


def test_a_source_that_fails_costs_only_itself():
    def iterate(source):
        if source == 1:
            raise OSError("no such file")
        yield source

    found = []
    for _, items in prefetch_each(range(3), iterate, n_begun=2, length=2):
        try:
            found += list(items)
        except OSError as error:
            found.append(str(error))
    assert found == [0, "no such file", 2]


def test_leaving_the_turns_ends_all_threads():
    before = set(threading.enumerate())
    turns = prefetch_each(range(9), lambda _: itertools.count(), n_begun=4, length=2)
    next(turns)
    assert len(set(threading.enumerate()) - before) == 4
    turns.close()
    assert set(threading.enumerate()) <= before


def test_an_item_left_unread_does_not_hold_up_the_next_source():
    turns = prefetch_each("ab", lambda s: itertools.repeat(s), n_begun=2, length=2)
    assert [next(iter(items)) for _, items in turns] == ["a", "b"]
