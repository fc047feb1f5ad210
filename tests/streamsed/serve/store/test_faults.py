"""What a store goes through in a household: power cuts, full disks, other programs."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from environment import ENVIRONMENT
from serve_records import Sounds, send

from streamsed.serve.store import writer
from streamsed.serve.store.database import open_to_write
from streamsed.serve.store.reader import Choice, StoreReader
from streamsed.serve.store.sink import StoreSink

FEEDER = Path(__file__).parents[3] / "support" / "store_feeder.py"
KILLS = int(os.environ.get("STREAMSED_KILLS", "8"))


def until(holds, seconds=60.0):
    """Wait until something holds, for it may take its time on a busy machine."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def numbers(path, states=("closed",)):
    with StoreReader(path) as reader:
        return [event.number for event in reader.events(Choice(states=states))]


def test_nothing_that_was_committed_is_lost_by_kill_9(tmp_path):
    """A writer is killed repeatedly, at any moment, without warning."""
    path, rng, reported = tmp_path / "home.db", random.Random(17), {}
    for kill in range(KILLS):
        run = f"{kill:08x}"
        command = [sys.executable, FEEDER, path, run]
        feeder = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        lines = [feeder.stdout.readline()]
        time.sleep(rng.uniform(0, 0.3))
        feeder.send_signal(signal.SIGKILL)
        lines += feeder.stdout.read().splitlines()
        feeder.wait()
        feeder.stdout.close()
        whole = [line for line in lines if line.strip().isdigit()]
        reported[run] = int(whole[-1])
    with StoreReader(path) as reader:
        found = {run: [] for run in reported}
        for event in reader.events():
            found[event.run].append(event.number)
            assert event.duration == 2
        heard = sum(hour.heard for hour in reader.listened())
    for run, last in reported.items():
        count = len(found[run])
        assert found[run] == list(range(1, count + 1))  # each once, none between
        assert last <= count <= last + 1
    assert 10 * sum(reported.values()) <= heard + KILLS
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_kill_in_the_middle_of_making_a_store_leaves_one_or_none(tmp_path):
    """The first moments of a new file, cut off wherever it happens."""
    rng = random.Random(3)
    code = (
        "import sys, pathlib; from streamsed.serve.store.database import open_to_write; "
        "print(flush=True); open_to_write(pathlib.Path(sys.argv[1]))"
    )
    for number in range(4):
        path = tmp_path / f"{number}.db"
        command = [sys.executable, "-c", code, path]
        maker = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT)
        maker.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))
        maker.kill()
        maker.wait()
        maker.stdout.close()
        sink = StoreSink(path)
        send(sink, *Sounds().lifecycle(1, 1, 2))
        sink.close()
        assert numbers(path) == [1]


def test_a_store_that_another_program_locks_is_written_when_that_is_over(tmp_path):
    path, sounds = tmp_path / "home.db", Sounds()
    sink = StoreSink(path)
    send(sink, *sounds.lifecycle(1, 1, 2), sounds.event("opened", 999, 3.0))
    assert sink.writer.wait_until_written(30)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        for number in range(2, 500):
            send(sink, *sounds.lifecycle(number, 10.0 * number, 10.0 * number + 1))
        assert time.monotonic() - start < 10  # nobody waited for the lock
        until(lambda: sink.failures().get("failed", 0) >= 2)
        assert sink.notices() == [
            "store: cannot be written (database is locked); trying again"
        ]
        assert sink.notices() == []
        assert numbers(path) == [1]
        other.execute("ROLLBACK")
    assert sink.writer.wait_until_written(60)
    assert sink.notices() == ["store: can be written again"]
    assert numbers(path, ["opened"]) == [999]  # it goes on: nothing has crashed
    sink.close()
    assert numbers(path) == list(range(1, 500))
    failures = sink.failures()
    assert (failures["lost"], failures["waiting"]) == (0, 0)
    assert failures["since"] < failures["until"]


def test_a_store_that_is_locked_at_the_start_is_opened_when_that_is_over(tmp_path):
    path = tmp_path / "home.db"
    open_to_write(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        sink = StoreSink(path)
        send(sink, *Sounds().lifecycle(1, 1, 2))
        until(lambda: sink.failures().get("failed", 0) >= 2)
    assert sink.writer.wait_until_written(60)
    sink.close()
    assert numbers(path) == [1]


@contextmanager
def small_disk(folder, kilobytes):
    """A file system of its own, which is soon full."""
    folder.mkdir()
    options = f"size={kilobytes}k,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_once_there_is_room_again(tmp_path):
    with small_disk(tmp_path / "disk", 1024) as disk:
        path, sounds = disk / "home.db", Sounds()
        sink = StoreSink(path)
        send(sink, sounds.started())
        assert sink.writer.wait_until_written(30)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as stream, suppress(OSError):
            while stream.write(bytes(4096)):
                pass
        number = 0
        while not sink.failures().get("failed"):
            number += 1
            send(sink, *sounds.lifecycle(number, 10.0 * number, 10.0 * number + 1))
            assert number < 100_000
        until(lambda: sink.failures()["failed"] >= 3)
        assert "full" in sink.failures()["reason"]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ballast.unlink()
        assert sink.writer.wait_until_written(60)
        sink.close()
        assert numbers(path) == list(range(1, number + 1))
        assert sink.failures()["lost"] == 0


def test_what_waits_for_a_disk_is_bounded_and_what_is_left_out_is_counted(
    tmp_path, monkeypatch
):
    path, sounds = tmp_path / "home.db", Sounds()
    monkeypatch.setattr(writer, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(writer, "LONGEST_WAIT", 0.02)
    sink = StoreSink(path)
    sink.writer._max_waiting = 100
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for number in range(1, 1001):
            send(sink, sounds.event("closed", number, 1.0 * number, number + 0.5))
            send(sink, sounds.status(1.0 * number))
        until(lambda: sink.failures().get("lost", 0) >= 900)
        assert sink.failures()["waiting"] <= 100
        other.execute("ROLLBACK")
    assert sink.writer.wait_until_written(60)
    sink.close()
    assert numbers(path) == list(range(901, 1001))
    assert sink.failures()["lost"] == 900
    with StoreReader(path) as reader:  # sums of seconds do not wait in line
        assert sum(hour.heard for hour in reader.listened()) == pytest.approx(1000)


def test_a_store_that_is_moved_away_is_started_again(tmp_path):
    path, sounds = tmp_path / "home.db", Sounds()
    sink = StoreSink(path)
    send(sink, *sounds.lifecycle(1, 1, 2))
    assert sink.writer.wait_until_written(30)
    path.rename(tmp_path / "old.db")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").rename(tmp_path / f"old.db{end}")
    send(sink, *sounds.lifecycle(2, 3, 4))
    assert sink.writer.wait_until_written(30)
    sink.close()
    assert numbers(tmp_path / "old.db") == [1]
    assert numbers(path) == [2]


def test_a_reader_sees_whole_commits_while_they_are_written(tmp_path):
    path, sounds = tmp_path / "home.db", Sounds()
    sink = StoreSink(path)
    send(sink, sounds.started())
    assert sink.writer.wait_until_written(30)
    with StoreReader(path) as reader:
        seen = 0
        for number in range(1, 200):
            send(sink, *sounds.lifecycle(number, 10.0 * number, 10.0 * number + 1))
            if number % 20 == 0:
                found = [event.number for event in reader.events()]
                assert found == list(range(1, len(found) + 1))
                assert len(found) >= seen
                seen = len(found)
    sink.close()
    assert sink.failures() == {}
    assert numbers(path) == list(range(1, 200))
