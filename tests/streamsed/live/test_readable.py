"""Waiting for pipes and programs, however many of them there are."""

import json
import os
import sys
import time
from contextlib import contextmanager

from streamsed.events import Event
from streamsed.live.readable import readable
from streamsed.live.sinks.exec_sink import ExecSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.sources.child import Child
from streamsed.serve.sources.feed import PipeFeed


@contextmanager
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_what_can_be_read_is_returned_and_nothing_after_the_time():
    with pipe() as (first, _), pipe() as (second, writer):
        began = time.monotonic()
        assert readable([first, second], 0.05) == []
        assert time.monotonic() - began >= 0.05
        os.write(writer, b"x")
        assert readable([first, second], 1e9) == [second]
        assert readable([first, second], -1.0) == [second]


def test_an_end_is_something_to_read():
    reader, writer = os.pipe()
    os.close(writer)
    assert readable([reader], 60) == [reader]
    os.close(reader)


def test_a_source_is_read_however_many_there_are(many_open, tmp_path):
    child = Child([sys.executable, "-c", "print('sound')"], deadline=10.0, burst=0.0)
    assert child._out > 1023
    data, end = b"", time.monotonic() + 60
    while time.monotonic() < end and (more := child.read(1.0)) is not None:
        data += more
    child.stop(grace=1.0)
    assert data == b"sound\n"
    os.mkfifo(tmp_path / "pipe")
    feed = PipeFeed(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_WRONLY)
    os.write(writer, b"sound")
    assert feed.read(10.0) == b"sound"
    feed.stop(grace=0.0)
    os.close(writer)


def test_a_command_is_run_however_many_sources_there_are(many_open, tmp_path):
    keep = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    command = [sys.executable, "-c", keep, str(tmp_path / "out.json")]
    commands = ExecSink(command, timeout=60.0, patience=60.0)
    event = EventUpdate("closed", 1, Event("Dog", 1.0, 2.0, 0.9), ongoing=False)
    commands.on_record({"label": "Dog", **event.to_dict()}, event)
    commands.close()
    assert commands.failures() == {}
    assert json.loads((tmp_path / "out.json").read_text())["label"] == "Dog"
