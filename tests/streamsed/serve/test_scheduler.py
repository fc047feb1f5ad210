"""Whose turn it is: sources that are slow, dead or broken delay no other for long."""

import threading
import time

import pytest

from streamsed.serve.scheduler import Scheduler


class Visits:
    def __init__(self, name, work=lambda: None):
        self.name, self.work = name, work
        self.n, self.at_once, self.most_at_once = 0, 0, 0
        self.lock = threading.Lock()

    def visit(self):
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.work()
        with self.lock:
            self.n += 1
            self.at_once -= 1


def wait_for(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def scheduler():
    errors = []
    scheduler = Scheduler(
        2, tick=0.01, on_error=lambda source, error: errors.append((source, error))
    )
    scheduler.errors = errors
    scheduler.start()
    yield scheduler
    scheduler.stop()


def many():
    return [Visits(str(i), lambda: time.sleep(0.002)) for i in range(10)]


def test_all_sources_are_visited_in_turn():
    scheduler, sources = Scheduler(1, tick=0.01, on_error=lambda *_: None), many()
    for source in sources:
        scheduler.add(source)
    scheduler.start()
    wait_for(lambda: min(source.n for source in sources) >= 10)
    scheduler.stop()
    counts = [source.n for source in sources]
    assert max(counts) <= min(counts) + 2


def test_no_source_is_visited_twice_at_once(scheduler):
    sources = many()
    for source in sources:
        scheduler.add(source)
    wait_for(lambda: min(source.n for source in sources) >= 10)
    assert {source.most_at_once for source in sources} == {1}


def test_a_slow_source_takes_no_more_turns_than_the_others(scheduler):
    slow, fast = Visits("slow", lambda: time.sleep(0.1)), Visits("fast")
    scheduler.add(slow)
    scheduler.add(fast)
    wait_for(lambda: slow.n >= 3)
    assert fast.n > slow.n


def test_what_one_visit_raises_is_reported_and_the_rest_continue(scheduler):
    broken, good = Visits("broken", lambda: 1 / 0), Visits("good")
    scheduler.add(broken)
    scheduler.add(good)
    wait_for(lambda: good.n >= 3 and len(scheduler.errors) >= 3)
    assert {source for source, _ in scheduler.errors} == {broken}


def test_an_error_of_the_one_who_is_told_of_errors_ends_no_visits():
    def fail(*_):
        raise RuntimeError("cannot be restarted either")

    scheduler = Scheduler(1, tick=0.01, on_error=fail)
    scheduler.start()
    broken, good = Visits("broken", lambda: 1 / 0), Visits("good")
    scheduler.add(broken)
    scheduler.add(good)
    wait_for(lambda: good.n >= 3)
    scheduler.remove(broken)  # and does not wait for ever
    scheduler.stop()


def test_a_source_that_is_removed_is_left_alone_at_once(scheduler):
    source = Visits("a", lambda: time.sleep(0.02))
    scheduler.add(source)
    wait_for(lambda: source.n >= 2)
    scheduler.remove(source)
    n, at_once = source.n, source.at_once
    time.sleep(0.1)
    assert (source.n, at_once) == (n, 0)
    scheduler.add(source)
    wait_for(lambda: source.n > n)


def test_stopping_waits_for_the_visit_in_hand():
    scheduler = Scheduler(1, tick=0.01, on_error=lambda *_: None)
    scheduler.start()
    began = threading.Event()

    def work():
        began.set()
        time.sleep(0.2)

    source = Visits("a", work)
    scheduler.add(source)
    began.wait(20)
    scheduler.stop()
    assert (source.n, source.at_once) == (1, 0)
    assert scheduler.n_visits == 1
