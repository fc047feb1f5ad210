"""The stream of server-sent events: what comes, what is replayed, who may hold up whom."""

import base64
import json
import socket
import threading
import time
from datetime import datetime

import numpy as np
import pytest
from small_home import COLUMN, FRAME, PATIENCE, SmallHome, Stream, until

from streamsed.serve.page import feed as feed_module
from streamsed.serve.page import stream as stream_module
from streamsed.serve.page.feed import PageFeed
from streamsed.serve.page.pictures.moving import SourcePictures


@pytest.fixture
def home(tmp_path):
    with SmallHome(tmp_path) as home:
        yield home


def test_what_happens_comes_at_once_with_a_number_and_its_source(home):
    with Stream(home) as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        _, hello = stream.next("hello")
        assert hello["labels"] == list(home.labels)
        home.report("hall", "Dog", "opened", "ended")
        (first, opened), (second, ended) = stream.next(), stream.next()
        assert (opened["source"], opened["label"], opened["state"]) == (
            "hall",
            "Dog",
            "opened",
        )
        assert opened["end"] is None
        end = datetime.fromisoformat(ended["end"]).timestamp() - home.began
        assert end == pytest.approx(ended["offset"], abs=0.002)
        assert second > first > 1e6 * home.began


def test_who_comes_back_learns_exactly_what_was_missed(home):
    with Stream(home) as stream:
        stream.next("hello")
        home.report("hall", "Dog", "opened")
        number, _ = stream.next()
    home.report("hall", "Dog", "ended", number=1)
    home.report("kitchen", "Cat", "opened")
    with Stream(home, last_event_id=str(number)) as stream:
        missed = stream.records(2)
    assert [(r["label"], r["state"]) for r in missed] == [
        ("Dog", "ended"),
        ("Cat", "opened"),
    ]
    with Stream(home, f"/events?after={number}") as stream:
        assert stream.records(2) == missed


def test_after_a_restart_the_store_returns_what_was_missed(tmp_path):
    with SmallHome(tmp_path) as home:
        with Stream(home) as stream:
            number, _ = stream.next("hello")
        home.lifecycle("hall", "Dog", ago=0.6)
        home.written()
    with SmallHome(tmp_path) as home:
        home.report("kitchen", "Cat", "opened", ago=0.6)
        with Stream(home, last_event_id=str(number)) as stream:
            found = stream.records(2)
    assert [(r["label"], r["state"]) for r in found] == [
        ("Dog", "closed"),
        ("Cat", "opened"),
    ]
    assert found[0]["end"] > found[0]["time"]


def test_after_a_restart_the_end_of_a_long_event_is_returned_and_old_ones_are_not(
    tmp_path,
):
    with SmallHome(tmp_path) as home:
        with Stream(home) as stream:
            number, _ = stream.next("hello")
        home.lifecycle("hall", "Cat", ago=1300.0, lasts=2.0)
        home.lifecycle("hall", "Vacuum_cleaner", ago=1200.0, lasts=1199.5)
        home.written()
    with SmallHome(tmp_path) as home:
        home.report("kitchen", "Dog", "opened", ago=0.3)
        with Stream(home, last_event_id=str(number)) as stream:
            found = stream.records(2)
    assert [(r["label"], r["state"]) for r in found] == [
        ("Vacuum_cleaner", "closed"),
        ("Dog", "opened"),
    ]


def test_what_the_ring_has_no_more_comes_from_the_store(home, monkeypatch):
    monkeypatch.setattr(feed_module, "LENGTH", 4)
    home.feed._kept = feed_module.deque(maxlen=4)
    with Stream(home) as stream:
        number, _ = stream.next("hello")
    for seconds in range(6):
        home.lifecycle("hall", "Dog", ago=6.6 - seconds)
    home.written()
    with Stream(home, last_event_id=str(number)) as stream:
        found = stream.records(10)
    assert [r["id"] for r in found[:6]] == [1, 2, 3, 4, 5, 6]
    assert [(r["id"], r["state"]) for r in found[6:]] == [
        (5, "closed"), (6, "opened"), (6, "ended"), (6, "closed"),
    ]  # fmt: skip


def test_a_reader_that_is_slower_than_the_ring_still_gets_the_newest(home, monkeypatch):
    monkeypatch.setattr(feed_module, "LENGTH", 50)
    home.feed._kept = feed_module.deque(maxlen=50)
    padding = "x" * 50_000  # more than the sockets between them hold
    with Stream(home) as stream:
        stream.next("hello")
        for number in range(400):
            home.report("hall", "Dog", "opened", number=number, padding=padding)
        # What the store replays may come again from the ring, so not all is in order.
        while stream.next()[1]["id"] != 399:
            pass
        home.report("hall", "Dog", "opened", number=400)
        while stream.next()[1]["id"] != 400:
            pass


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 30, "9" * 17, "0"])
def test_a_number_that_makes_no_sense_still_gives_a_stream(home, number):
    home.written()
    with Stream(home, last_event_id=number) as stream:
        stream.next("hello")
        home.report("hall", "Dog", "opened")
        assert stream.next()[1]["label"] == "Dog"


def test_the_sources_come_every_second(home):
    with Stream(home) as stream:
        before = [source["listened"] for source in stream.next("sources")[1]]
        after = [source["listened"] for source in stream.next("sources")[1]]
    assert after[0] > before[0]


def test_pictures_come_only_of_the_sources_asked_for_and_without_a_hole(home):
    with Stream(home, "/events?picture=kitchen&picture=attic") as stream:
        steps = [stream.next("picture")[1] for _ in range(5)]
    assert {step["source"] for step in steps} == {"kitchen"}
    assert steps[0]["labels"] == list(home.labels)
    end, score_end = steps[0]["first"], steps[0]["first_score"]
    for step in steps:
        levels = np.frombuffer(base64.b64decode(step["levels"]), np.uint8)
        columns = levels.reshape(-1, step["bands"])
        assert step["first"] <= end
        places = np.arange(step["first"], step["first"] + len(columns))
        np.testing.assert_array_equal(columns, home.noise[places % len(home.noise)])
        end = max(end, step["first"] + len(columns))
        scores = np.frombuffer(base64.b64decode(step["scores"]), np.uint8)
        assert step["first_score"] <= score_end
        score_end = max(
            score_end, step["first_score"] + len(scores) // len(home.labels)
        )
    assert end > steps[0]["first"] + 4
    assert score_end > steps[0]["first_score"] + 4


def test_another_stream_of_a_source_is_shown_whole_and_counted_again(home):
    pictures = SourcePictures("kitchen")
    first = json.loads(pictures.step(home.snapshot("kitchen")))
    assert (home.now - 60) / COLUMN < first["first"]  # who came has the rest
    home.began += 30.0  # another stream began
    other = json.loads(pictures.step(home.snapshot("kitchen")))
    assert other["first"] == 0
    assert other["labels"] == list(home.labels)
    assert other["origin"] == pytest.approx(home.began, abs=0.01)
    after = json.loads(until(lambda: pictures.step(home.snapshot("kitchen"))))
    assert after["first"] * COLUMN > 29
    assert "labels" not in after


def test_a_second_of_pictures_is_about_two_kilobytes(home):
    pictures = SourcePictures("kitchen")
    pictures.step(home.snapshot("kitchen"))
    start = home.now
    time.sleep(1.0)
    sent = len(pictures.step(home.snapshot("kitchen")))
    assert sent / (home.now - start) < 3500


def test_a_score_that_changed_is_sent_again_and_those_before_it_are_not(home):
    pictures = SourcePictures("kitchen")
    pictures.step(home.snapshot("kitchen"))
    changed = home.now - 5.0
    home.loud["kitchen", "Dog"] = (changed, changed + 1.0)
    step = until(lambda: pictures.step(home.snapshot("kitchen")))
    assert json.loads(step)["first_score"] * FRAME == pytest.approx(changed, abs=0.2)


def test_many_watch_and_one_that_reads_nothing_blocks_nothing(home):
    deaf = socket.create_connection(("127.0.0.1", home.port), PATIENCE)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    query = (
        b"GET /events?picture=kitchen&picture=hall HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    deaf.sendall(query)
    streams = [Stream(home, "/events?picture=kitchen") for _ in range(10)]
    try:
        for stream in streams:
            stream.next("hello")
        assert home.server.n_viewers == 11
        for number in range(200):
            home.report("hall", "Dog", "opened", number=1000 + number)
        for stream in streams:
            assert [r["id"] for r in stream.records(200)] == list(range(1000, 1200))
    finally:
        for stream in streams:
            stream.__exit__()
        deaf.close()
    until(lambda: home.server.n_viewers == 0)


def test_too_many_are_asked_to_come_later(home, monkeypatch):
    monkeypatch.setattr(stream_module, "MAX_VIEWERS", 1)
    with Stream(home) as stream:
        stream.next("hello")
        status, headers, _ = home.get("/events")
        assert (status, headers["retry-after"]) == (503, "30")
    until(lambda: home.get("/healthz")[0] and not home.server.n_viewers)


def test_the_page_ends_though_browsers_watch(tmp_path):
    with SmallHome(tmp_path) as home:
        streams = [Stream(home) for _ in range(3)]
        for stream in streams:
            stream.next("hello")
        home.server.stop()
        until(lambda: not home.server._thread.is_alive())
    for stream in streams:
        stream.__exit__()


def test_numbers_grow_though_the_clock_is_set_back():
    now = [2000.0]
    feed = PageFeed(now=lambda: now[0])
    record = {
        "state": "opened",
        "source": "a",
        "time": "2026-11-26T07:00:00Z",
        "onset": 1,
    }
    numbers = []
    for step in (1.0, -500.0, 0.0, 700.0):
        now[0] += step
        feed.on_record(record, None)
        numbers.append(feed.last)
    assert numbers == sorted(set(numbers))
    assert [each.number for each in feed.since(numbers[1])] == numbers[2:]


def test_records_of_many_threads_are_all_kept_in_order():
    feed = PageFeed()
    record = {"state": "opened", "time": "2026-11-26T07:00:00Z", "onset": 1}

    def report(source):
        for number in range(200):
            feed.on_record({**record, "source": source, "id": number}, None)

    threads = [threading.Thread(target=report, args=(n,)) for n in range(4)]
    start = feed.last
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = feed.since(start)
    assert len({each.number for each in kept}) == len(kept) == 800
    for source in range(4):
        ids = [e.record["id"] for e in kept if e.record["source"] == source]
        assert ids == list(range(200))


def test_what_is_no_event_gap_or_notice_is_not_shown():
    feed = PageFeed()
    start = feed.last
    for state in ("started", "status", "listening", "stopped"):
        feed.on_record({"state": state, "source": "a"}, None)
    assert feed.since(start) == []
