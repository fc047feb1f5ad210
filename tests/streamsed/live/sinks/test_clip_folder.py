"""A folder of clips that holds no more than it may, while nothing waits for it."""

import os
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from serving import wait_for
from sounds import RATE

from streamsed.events import Event
from streamsed.live.sinks import clip_folder
from streamsed.live.sinks.clip_files import clip_name
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.pipeline.lifecycle import EventUpdate

NOW = datetime.now(UTC)


def clip_of(folder, hours_ago, n_bytes=100):
    name = clip_name(NOW - timedelta(hours=hours_ago), "Dog", run="0a0b0c0d", number=1)
    path = folder / name
    path.write_bytes(bytes(n_bytes))
    return path


@pytest.fixture
def reading(monkeypatch):
    """Every file is a clip of ours; what was read, and an event that allows reading."""

    class Reading(threading.Event):
        names = ()

        def is_clip(self, path):
            assert self.wait(60)
            self.names += (path.name,)
            return True

    reading = Reading()
    reading.set()
    monkeypatch.setattr(clip_folder, "is_clip", reading.is_clip)
    return reading


def test_an_event_is_passed_on_before_the_old_clips_are_read(tmp_path, reading):
    old = [clip_of(tmp_path, hours) for hours in range(1, 4)]
    saved = []
    folder = ClipFolder(tmp_path, max_bytes=1)
    clips = ClipSink(
        folder, sample_rate=RATE, on_saved=lambda record, _: saved.append(record)
    )
    clips.on_samples(np.zeros(8 * RATE, np.float32))
    reading.clear()
    for number in range(2):
        event = Event("Dog", 1.0, 2.0, 0.9)
        clips.on_record({}, EventUpdate("closed", number, event, ongoing=False))
    wait_for(lambda: len(saved) == 2)
    assert reading.names == ()
    reading.set()
    clips.close()
    folder.close()
    assert not any(path.exists() for path in old)
    assert [str(path) for path in tmp_path.iterdir()] == [saved[-1]["clip"]]


def test_clips_are_read_only_where_it_matters_and_once(tmp_path, reading):
    old, *newer = (clip_of(tmp_path, hours) for hours in (50, 20, 10, 1))
    folder = ClipFolder(tmp_path, max_bytes=310, max_days=2)
    wait_for(lambda: not old.exists())
    assert reading.names == (old.name,)
    for path in newer:
        folder.add(path)
        wait_for(lambda: not folder._waiting)
    fourth = clip_of(tmp_path, 0)
    folder.add(fourth)
    wait_for(lambda: not newer[0].exists())
    assert len(reading.names) == 5
    folder.close()
    assert sorted(tmp_path.iterdir()) == [*newer[1:], fourth]


def test_a_clip_that_cannot_be_deleted_keeps_no_other(tmp_path, reading, monkeypatch):
    first, second, third = (clip_of(tmp_path, hours) for hours in (3, 2, 1))
    unlink = type(first).unlink

    def refuse(path, **how):
        if path == first:
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, **how)

    monkeypatch.setattr(type(first), "unlink", refuse)
    folder = ClipFolder(tmp_path, max_bytes=1)
    folder.add(third)
    folder.close()
    assert not second.exists()
    assert first.exists()
    [notice] = folder.notices()
    assert notice.startswith("deletions of old clips: 1 failed ([Errno 1] Operation")
    assert "left_out" not in folder.failures()


@pytest.mark.parametrize(
    "go_on",
    [
        lambda folder: folder.on_record({"state": "status"}, None),
        lambda folder: folder.on_samples(np.zeros(1000, np.float32)),
    ],
    ids=["serve", "listen"],
)
def test_clips_are_too_old_one_day_without_another_event(
    tmp_path, reading, monkeypatch, go_on
):
    monkeypatch.setattr(clip_folder, "HOUR", 0.0)
    folder = ClipFolder(tmp_path, max_bytes=1, max_days=1)
    wait_for(lambda: not folder._waiting)
    fresh, old = clip_of(tmp_path, 23), clip_of(tmp_path, 25)
    go_on(folder)
    folder.close()
    assert not old.exists()
    assert fresh.exists()  # no clip was added: only the age counts


def test_what_is_no_file_is_not_read(tmp_path):
    pipe, link = clip_of(tmp_path, 3), clip_of(tmp_path, 2)
    pipe.unlink()
    os.mkfifo(pipe)  # whoever opens it waits for a writer
    link.unlink()
    link.symlink_to(tmp_path / "nothing")
    folder = ClipFolder(tmp_path, max_bytes=1, max_days=0.01)
    folder.add(clip_of(tmp_path, 0))
    folder.close()
    assert folder._sizes.keys() == {clip_of(tmp_path, 0).name}
    assert folder.failures() == {}
