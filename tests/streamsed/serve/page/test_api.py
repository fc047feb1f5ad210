"""What is asked below `/api/`: events, sources, hours, pictures, clips, health."""

import json
import struct
from datetime import datetime

import pytest
from small_home import PATIENCE, SmallHome, Stream, until

from streamsed.serve.page.query import read_time


@pytest.fixture
def home(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    with SmallHome(tmp_path, clips=clips) as home:
        home.clips = clips
        yield home


def test_sources_are_reported_without_infinity_or_nan(home):
    home.set("hall", state="waiting", reason="no route", since_audio=float("inf"))
    kitchen, hall = home.json("/api/sources")
    assert (kitchen["name"], kitchen["state"], kitchen["level"]) == (
        "kitchen",
        "running",
        -42,
    )
    assert (hall["reason"], hall["since_audio"]) == ("no route", None)


def test_events_since_a_time_come_in_order_and_those_before_do_not(home):
    seconds = home.began + home.now - 2000
    since = home.clock(seconds - home.began)
    home.lifecycle("kitchen", "Dog", ago=3000)
    home.lifecycle("hall", "Cat", ago=1000)
    home.lifecycle("kitchen", "Speech", ago=10)
    home.written()
    found = home.json(f"/api/events?since={since.replace('+', '%2B')}")
    assert [event["label"] for event in found] == ["Cat", "Speech"]
    assert [event["state"] for event in found] == ["closed", "closed"]
    for asked in (since, seconds):  # an unescaped plus, and seconds
        again = home.json(f"/api/events?since={asked}")
        assert [event["id"] for event in again] == [event["id"] for event in found]
    assert [e["label"] for e in home.json("/api/events?since=10m")] == ["Speech"]
    assert len(home.json("/api/events?since=24h&limit=2")) == 2


def test_the_newest_events_come_first_and_older_ones_by_until(home):
    for number in range(5):
        home.lifecycle("kitchen", "Dog", ago=30 - number)
    home.written()
    first, second = home.json("/api/events?newest=2")
    assert first["number"] == 5
    older = home.json(f"/api/events?newest=2&until={second['onset']}")
    assert [event["number"] for event in older] == [3, 2]


def test_events_are_chosen_by_source_label_and_state(home):
    home.lifecycle("kitchen", "Dog")
    home.lifecycle("hall", "Dog")
    home.report("hall", "Cat", "opened")
    home.report("hall", "Dog", "opened", "withdrawn")
    home.written()
    assert len(home.json("/api/events")) == 3
    assert len(home.json("/api/events?source=hall")) == 2
    assert len(home.json("/api/events?source=hall&source=kitchen&label=Dog")) == 2
    (going_on,) = home.json("/api/events?state=opened")
    assert (going_on["label"], going_on["offset"]) == ("Cat", None)


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "since=1e400", "since=nan", "since=-5", "since=99999999999999",
     "limit=0", "limit=-1", "limit=x", "newest=1e3", "limit=99999999999999999999",
     "until=2026-99-99", "since=9999999w"],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_with_the_reason(home, query):
    status, _, body = home.get(f"/api/events?{query}")
    assert status == 400
    assert query.split("=")[0] in json.loads(body)["error"]


def test_times_are_read_as_iso_seconds_or_how_long_ago():
    moment = datetime.fromisoformat("2026-11-26T07:00:00+01:00").timestamp()
    assert read_time("2026-11-26T07:00:00+01:00", now=0) == moment
    assert read_time("2026-11-26T06:00:00Z", now=0) == moment
    assert read_time(str(moment), now=0) == moment
    assert read_time("1.5h", now=moment) == moment - 5400
    local = datetime(2026, 11, 26).timestamp()
    assert read_time("2026-11-26", now=0) == local


def test_an_event_that_does_not_exist_is_404_and_no_number_breaks_the_store(home):
    for number in (1, 2**62, 2**63, 2**80):
        assert home.get(f"/api/events/{number}")[0] == 404
    assert home.get("/api/events/x")[0] == 404


def test_arming_reaches_the_service_and_only_as_it_is_written(home):
    path = "/api/sources/kitchen/arm"
    assert home.ask("POST", path, body='{"armed": false}')[0] == 200
    assert not home.statuses["kitchen"].armed
    for body in ("", "{}", '{"armed": 1}', "[true]", '{"armed": "true"}'):
        assert home.ask("POST", path, body=body)[0] == 400
    assert home.ask("POST", path, body="x" * 5000)[0] == 413
    assert not home.statuses["kitchen"].armed
    assert home.ask("POST", "/api/sources/attic/arm", body='{"armed": true}')[0] == 404


def test_hours_have_counts_and_seconds_listened(home):
    home.lifecycle("kitchen", "Dog", ago=2)
    home.lifecycle("kitchen", "Dog", ago=1.5)
    about = {"source": "kitchen", "run": home.run, "time": home.clock(home.now)}
    home.send({**about, "state": "status", "at": 5.0, "status": "running", "reason": "",
               "heard": 5.0, "lost": 0.5, "skipped": 0, "level": -40.0, "armed": True,
               })  # fmt: skip
    home.written()
    hours = home.json("/api/hours?since=2h")
    assert sum(hour["n_events"] for hour in hours["counts"]) == 2
    assert sum(hour["heard"] for hour in hours["listened"]) == pytest.approx(5.0)
    assert sum(hour["lost"] for hour in hours["listened"]) == pytest.approx(0.5)


def test_an_event_has_its_picture_with_a_second_before_and_after(home):
    home.lifecycle("kitchen", "Dog", ago=20, lasts=2.0)
    home.written()
    (event,) = until(lambda: [e for e in home.json("/api/events") if e["picture"]])
    about = event["picture"]
    status, headers, png = home.get("/" + about["url"])
    assert (status, headers["content-type"]) == (200, "image/png")
    width, height = struct.unpack(">II", png[16:24])
    assert height == 64
    assert width * about["column"] == pytest.approx(4.0, abs=0.1)
    assert about["lead"] == pytest.approx(1.0, abs=0.1)


def test_the_sound_of_an_event_is_given_out_from_the_folder_of_clips_alone(home):
    (home.clips / "dog.flac").write_bytes(b"fLaC" + bytes(100))
    secret = home.clips.parent / "secret.flac"
    secret.write_bytes(b"secret")
    number = home.lifecycle("kitchen", "Dog", clip=str(home.clips / "dog.flac"))
    home.lifecycle("kitchen", "Cat", clip=str(secret))
    home.lifecycle("kitchen", "Speech", clip=str(home.clips / ".." / "secret.flac"))
    home.lifecycle("kitchen", "Frying")
    home.written()
    dog, *others = home.json("/api/events")
    assert dog["number"] == number
    status, headers, body = home.get("/" + dog["clip"])
    assert (status, headers["content-type"], len(body)) == (200, "audio/flac", 104)
    status, headers, body = home.get("/" + dog["clip"], range="bytes=0-3")
    assert (status, body) == (206, b"fLaC")
    assert [event["clip"] for event in others] == [None] * 3
    for event in others:
        assert home.get(f"/api/events/{event['id']}/clip")[0] == 404


def test_no_answer_holds_a_path_of_this_machine(home, tmp_path):
    (home.clips / "dog.flac").write_bytes(b"fLaC")
    home.lifecycle("kitchen", "Dog", clip=str(home.clips / "dog.flac"))
    home.written()
    for path in ("/api/events", "/api/sources", "/api/settings", "/healthz"):
        assert str(tmp_path).encode() not in home.get(path)[2]


def test_a_store_that_cannot_be_read_is_reported_and_does_not_end_the_page(home):
    home.written()
    home.store.close()
    home.store_path.unlink()
    status, headers, body = home.get("/api/events")
    assert (status, headers["retry-after"]) == (503, "5")
    assert json.loads(body) == {"error": "the store cannot be read now"}
    assert home.get("/api/sources")[0] == 200


def test_a_store_that_is_damaged_is_reported_and_streams_continue(home):
    home.lifecycle("kitchen", "Dog")
    home.written()
    home.store.close()
    size = home.store_path.stat().st_size
    for suffix in ("-wal", "-shm"):
        home.store_path.with_name(home.store_path.name + suffix).unlink(missing_ok=True)
    with home.store_path.open("r+b") as file:
        file.seek(200)
        file.write(b"\xff" * (size - 200))
    for path in ("/api/events", "/api/hours", "/api/events/1"):
        assert home.get(path)[0] == 503, path
    with Stream(home, last_event_id="1") as stream:
        assert stream.next("sources")[1][0]["name"] == "kitchen"


def test_health_is_whether_sound_flows_and_not_whether_the_program_runs(home):
    assert home.json("/healthz") == {
        "status": "ok", "flowing": ["kitchen", "hall"], "silent": {},
    }  # fmt: skip
    home.set("hall", state="waiting", reason="no route to it")
    assert home.json("/healthz")["status"] == "degraded"
    assert home.json("/healthz")["silent"] == {"hall": "no route to it"}
    assert home.get("/healthz?source=hall")[0] == 503
    assert home.get("/healthz?source=kitchen")[0] == 200
    home.set("kitchen", since_audio=31.0)  # it runs, and nothing comes
    status, _, body = home.get("/healthz")
    assert (status, json.loads(body)["status"]) == (503, "no sound")
    home.set("hall", state="quiet")
    assert home.get("/healthz")[0] == 200


def test_a_request_that_is_cut_short_does_not_end_the_page(home):
    import socket

    for data in (b"GET / HT", b"\x16\x03\x01\x00", b"POST /login HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", home.port), PATIENCE) as visitor:
            visitor.sendall(data)
    assert home.get("/api/sources")[0] == 200


def test_an_address_in_use_is_reported_in_one_sentence(home, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(OSError, match=r"\[page\] address 127.0.0.1:\d+ cannot be used"):
        SmallHome(folder, port=home.port)
