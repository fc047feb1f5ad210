import errno
import json
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from streamsed.events import Event
from streamsed.live.sinks import exec_sink
from streamsed.live.sinks.exec_sink import MAX_STDERR, STATES, ExecSink
from streamsed.pipeline.lifecycle import EventUpdate

KEEP = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


LONG = 120.0
"""Seconds that runs may take on a busy machine."""


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, str(path), str(tmp_path / "out.jsonl")]


def send(sink, state, number, *, at=0.0, label="Dog", **more):
    update = EventUpdate(state, number, Event(label, 1, 2, 0.9), ongoing=False)
    record = {"at": at, **update.to_dict(), **more}
    sink.on_record(record, update)
    return record, update


def runs(tmp_path):
    path = tmp_path / "out.jsonl"
    if not path.exists():
        return []
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [(record["state"], record["id"]) for record in records]


def cooling(tmp_path, *, on):
    """A sink whose command keeps its record, at most once a minute for each label."""
    return ExecSink(
        program(tmp_path, KEEP), on=on, cooldown=60.0, timeout=LONG, patience=LONG
    )


@pytest.mark.parametrize("on", [["opened"], ["ended", "withdrawn"], STATES])
def test_a_command_is_run_for_the_states_that_were_asked_for(tmp_path, on):
    sink = ExecSink(program(tmp_path, KEEP), on=on, timeout=LONG, patience=LONG)
    for state in ("opened", "updated", "ended", "closed", "withdrawn"):
        send(sink, state, 1)
    sink.on_record({"state": "notice", "text": "x"}, None)
    sink.close()
    assert runs(tmp_path) == [(state, 1) for state in STATES if state in on]


def test_a_label_cools_down_and_an_event_is_followed_to_its_end(tmp_path):
    sink = cooling(tmp_path, on=["opened", "closed"])
    send(sink, "opened", 1, at=10.0)
    send(sink, "opened", 2, at=30.0)
    send(sink, "opened", 3, at=40.0, label="Cat")
    send(sink, "closed", 1, at=50.0)
    send(sink, "closed", 2, at=69.0)
    send(sink, "opened", 4, at=70.0)
    sink.close()
    ran = [("opened", 1), ("opened", 3), ("closed", 1), ("opened", 4)]
    assert runs(tmp_path) == ran


def test_a_command_is_run_even_if_the_disk_is_too_full_for_what_it_complains(
    tmp_path, monkeypatch
):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exec_sink, "TemporaryFile", full)
    sink = ExecSink(program(tmp_path, KEEP), timeout=LONG, patience=LONG)
    send(sink, "closed", 1)
    sink.close()
    assert runs(tmp_path) == [("closed", 1)]
    assert sink.failures() == {}


def test_sources_cool_down_apart_and_a_new_run_starts_again(tmp_path):
    sink = cooling(tmp_path, on=["opened"])
    send(sink, "opened", 1, at=10.0, source="kitchen", run="a")
    send(sink, "opened", 1, at=12.0, source="garden", run="b")  # another event
    send(sink, "opened", 2, at=20.0, source="kitchen", run="a")
    send(sink, "opened", 1, at=3.0, source="kitchen", run="c")
    send(sink, "opened", 2, at=40.0, source="kitchen", run="c")
    send(sink, "opened", 2, at=72.0, source="garden", run="b")
    sink.close()
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    found = [(r["source"], r["run"], r["id"]) for r in map(json.loads, lines)]
    assert found == [
        ("kitchen", "a", 1),
        ("garden", "b", 1),
        ("kitchen", "c", 1),
        ("garden", "b", 2),
    ]


def test_a_source_that_was_lost_for_a_moment_is_still_in_its_cooldown(tmp_path):
    sink = cooling(tmp_path, on=["opened"])
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def bark(number, run, seconds):
        time = (noon + timedelta(seconds=seconds)).isoformat()
        send(sink, "opened", number, at=2.0, source="door", run=run, time=time)

    bark(1, "a", 0.0)
    bark(1, "b", 20.0)
    bark(2, "c", 59.0)
    bark(1, "d", 61.0)
    bark(1, "e", -3600.0)  # the clock was set back
    sink.close()
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["a", "d", "e"]


def test_with_clips_a_closed_event_comes_once_its_clip_is_there(tmp_path):
    sink = ExecSink(
        program(tmp_path, KEEP),
        on=["opened", "closed"],
        with_clips=True,
        timeout=LONG,
        patience=LONG,
    )
    send(sink, "opened", 1)
    record, update = send(sink, "closed", 1)
    sink.on_clip({**record, "clip": "/clips/a.flac"}, update)
    sink.close()
    assert runs(tmp_path) == [("opened", 1), ("closed", 1)]
    last = (tmp_path / "out.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["clip"] == "/clips/a.flac"


def test_what_a_failing_command_wrote_is_reported_completely_each_time(tmp_path):
    text = "import sys; sys.stderr.write('no bell:\\n' + 'x' * 5000); sys.exit(3)"
    sink = ExecSink(program(tmp_path, text), on=["opened"], timeout=LONG, patience=LONG)
    for number in (1, 2, 3):
        send(sink, "opened", number)
    sink.settle()
    notices = sink.notices()
    assert len(notices) == 3
    for number, notice in enumerate(notices, start=1):
        assert f"runs of --exec: {number} failed" in notice
        assert "failed (exit code 3; stderr: no bell" in notice
        assert "no bell:\n" + "x" * 5000 in notice
        assert f"for Dog (event {number}, opened)" in notice
    failures = sink.failures()
    assert failures["failed"] == 3
    assert "no bell:\n" + "x" * 5000 in failures["reason"]
    assert sink.notices() == []


def test_what_a_command_says_that_succeeds_is_reported_too(tmp_path):
    sink = ExecSink(
        program(tmp_path, "import sys; sys.stderr.write('low battery')"),
        timeout=LONG,
        patience=LONG,
    )
    send(sink, "closed", 7)
    sink.settle()
    assert sink.notices() == [
        "runs of --exec: stderr for Dog (event 7, closed): low battery"
    ]
    assert sink.failures() == {}


def test_a_command_that_never_stops_writing_fills_no_memory(tmp_path):
    text = "import sys; sys.stderr.write('a' * 300_000 + 'the end')"
    sink = ExecSink(program(tmp_path, text), timeout=LONG, patience=LONG)
    send(sink, "closed", 1)
    sink.settle()
    (notice,) = sink.notices()
    assert notice.endswith("the end")
    assert len(notice) < MAX_STDERR + 200


def test_a_command_that_does_not_end_is_killed_when_patience_is_over(
    tmp_path, monkeypatch
):
    text = "import sys, time; open(sys.argv[1], 'w').write('begun'); time.sleep(600)"
    sink = ExecSink(program(tmp_path, text), on=["opened"], timeout=600, patience=0.1)
    send(sink, "opened", 1)
    end = time.monotonic() + 60
    while not (tmp_path / "out.jsonl").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    close, patience = sink.worker.close, []
    monkeypatch.setattr(sink.worker, "close", lambda s: patience.append(s) or close(s))
    start = time.monotonic()
    sink.close()
    assert patience == [0.1]
    assert time.monotonic() - start < 60  # the command sleeps for ten minutes
    assert sink.failures()["failed"] == 1
