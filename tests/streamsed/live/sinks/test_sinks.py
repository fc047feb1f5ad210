import json
import multiprocessing
import os
import re
import stat
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import soundfile
from sounds import RATE, scene
from writer import write_many

from streamsed.events import Event
from streamsed.live.sinks.background import Worker
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.exec_sink import ExecSink
from streamsed.live.sinks.json_lines import JsonLines, locked
from streamsed.live.sinks.sink import QueuedSink
from streamsed.pipeline.lifecycle import EventUpdate

RECORD = {"state": "closed", "text": 'ä "quoted"\n'}


def closed(number, onset=1.0, offset=2.0, label="Dog"):
    return EventUpdate(
        "closed", number, Event(label, onset, offset, 0.9), ongoing=False
    )


def record_of(update):
    """What a listener makes of an update, on an evening in winter."""
    began = datetime(2026, 11, 26, 23, tzinfo=timezone(timedelta(hours=1)))
    when = began + timedelta(seconds=update.event.onset)
    return {"at": update.event.offset, "time": when.isoformat(), **update.to_dict()}


def send(sink, update):
    sink.on_record(record_of(update), update)


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_is_appended_to_line_by_line(tmp_path):
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        log = JsonLines.append(path)
        log.on_record(RECORD, None)
        assert records_of(path)[-1] == RECORD  # at once, before any close
        log.close()
    assert len(records_of(path)) == 2


@pytest.mark.parametrize("left", ["", '{"a": 1}\n', '{"a": 1}\n{"state": "ope'])
def test_a_line_that_was_cut_short_stays_alone(tmp_path, left):
    path = tmp_path / "log.jsonl"
    path.write_text(left)
    JsonLines.append(path).on_record(RECORD, None)
    *before, last = path.read_text().splitlines()
    assert before == left.splitlines()
    assert json.loads(last) == RECORD


def test_lines_of_several_writers_stay_whole(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = records_of(path)
    for number in range(3):
        assert [r["n"] for r in records if r["writer"] == number] == list(range(500))


def test_a_line_in_the_making_is_not_taken_for_one_that_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    other = JsonLines.append(path)
    late = []
    with locked(other._descriptor):
        os.write(other._descriptor, b'{"a": ')
        opening = threading.Thread(target=lambda: late.append(JsonLines.append(path)))
        opening.start()
        opening.join(0.2)
        os.write(other._descriptor, b"1}\n")
    opening.join()
    late[0].on_record(RECORD, None)
    assert records_of(path) == [{"a": 1}, RECORD]


def test_a_log_in_no_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        JsonLines.append(tmp_path / "nowhere" / "log.jsonl")


def test_a_reader_who_does_not_read_blocks_nothing():
    reading, writing = os.pipe()
    sink = QueuedSink(JsonLines(writing))
    start = time.monotonic()
    for n in range(12_000):
        sink.on_record({"n": n, "padding": "x" * 100}, None)
    assert time.monotonic() - start < 20
    (notice,) = sink.notices()
    assert "skipped" in notice
    # Once it is read again, what was queued comes, whole and in order.
    lines = []

    def read():
        with os.fdopen(reading, encoding="utf-8") as pipe:
            lines.extend(pipe)

    reader = threading.Thread(target=read)
    reader.start()
    sink.close()
    os.close(writing)
    reader.join()
    numbers = [json.loads(line)["n"] for line in lines]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + sink.worker.n_dropped == 12_000
    assert len(numbers) >= 10_000


def test_a_reader_who_left_is_noticed_at_the_next_record():
    reading, writing = os.pipe()
    os.close(reading)
    sink = QueuedSink(JsonLines(writing))
    sink.on_record(RECORD, None)

    def refused():
        try:
            sink.on_record(RECORD, None)
        except BrokenPipeError:
            return True
        return False

    wait_until(refused)
    sink.close()
    os.close(writing)


def test_a_worker_does_jobs_in_order_and_survives_them():
    worker, done = Worker("jobs"), []

    def fail():
        raise OSError("no disk")

    for n in range(5):
        worker.submit(lambda n=n: done.append(n))
        worker.submit(fail)
    worker.close()
    assert done == list(range(5))
    assert worker.n_failed == 5
    assert worker.notices() == ["jobs: 5 failed (no disk)"]
    assert worker.notices() == []


def test_a_worker_reports_the_first_then_doubles_and_in_the_end():
    worker, go_on = Worker("jobs", length=1), threading.Event()
    worker.submit(go_on.wait)
    wait_until(lambda: worker._jobs.empty())
    worker.submit(lambda: None)
    reported = []
    for _ in range(20):
        worker.submit(lambda: None)
        reported += worker.notices()
    assert [int(text.split()[1]) for text in reported] == [1, 3, 7, 15]
    go_on.set()
    worker.close()
    assert [int(text.split()[1]) for text in worker.notices()] == [20]


def test_a_worker_that_was_stuck_and_full_ends_after_its_last_job():
    go_on, closed = threading.Event(), []
    worker = Worker("jobs", length=2, at_end=lambda: closed.append(True))
    for _ in range(5):
        worker.submit(go_on.wait)
    worker.close(timeout=0.1)
    assert not closed  # the job that hangs still uses what it closes
    go_on.set()
    wait_until(lambda: closed)


def test_a_worker_that_is_stuck_is_left_behind_and_its_jobs_counted():
    worker, go_on = Worker("jobs"), threading.Event()
    for _ in range(4):
        worker.submit(go_on.wait)
    start = time.monotonic()
    worker.close(timeout=0.2)
    assert time.monotonic() - start < 20
    assert worker.n_dropped == 4
    go_on.set()


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, str(path), str(tmp_path / "out.jsonl")]


def test_a_command_is_run_for_closed_events_with_their_json(tmp_path):
    text = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    commands = ExecSink(program(tmp_path, text), timeout=60.0, patience=60.0)
    opened = EventUpdate("opened", 1, closed(1).event, ongoing=True)
    for update in (opened, closed(1), closed(2, label="Alarm_bell_ringing")):
        send(commands, update)
    commands.on_record({"state": "notice", "text": "x"}, None)
    commands.close()
    alarm = closed(2, label="Alarm_bell_ringing")
    expected = [record_of(closed(1)), record_of(alarm)]
    assert records_of(tmp_path / "out.jsonl") == expected
    assert commands.notices() == []


def test_a_slow_command_blocks_nothing_and_what_it_misses_is_reported(tmp_path):
    commands = ExecSink(program(tmp_path, "import time; time.sleep(30)"), timeout=0.3)
    start = time.monotonic()
    for n in range(1, 151):
        send(commands, closed(n))
    assert time.monotonic() - start < 20
    assert commands.worker.n_dropped >= 49
    wait_until(lambda: commands.worker.n_failed > 0)
    reported = " ".join(commands.notices())
    assert "skipped" in reported
    assert "(took longer than 0.3 s)" in reported
    commands.worker.close(timeout=0.1)


def test_a_command_that_fails_is_reported(tmp_path):
    failing = program(tmp_path, "raise SystemExit(3)")
    commands = ExecSink(failing, timeout=60.0, patience=60.0)
    send(commands, closed(1))
    commands.close()
    (notice,) = commands.notices()
    assert "runs of --exec: 1 failed" in notice
    assert "(exit code 3)" in notice


def test_a_clip_is_the_sound_of_the_event_with_what_came_before(tmp_path):
    samples = scene(20.0)
    clips = ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=RATE)
    for start in range(0, len(samples), 7001):
        clips.on_samples(samples[start : start + 7001])
    send(clips, closed(1, 5.0, 6.5))
    send(clips, closed(2, 0.2, 0.7, label="Alarm/bell ../x"))
    send(clips, closed(3, 19.0, 19.9))
    clips.close()
    paths = sorted(tmp_path.iterdir())
    names = [re.sub(r"\.[0-9a-f]{8}-", " ", path.name) for path in paths]
    assert names == [
        "streamsed-20261126T220000Z-Alarm_bell____x 000002.flac",
        "streamsed-20261126T220005Z-Dog 000001.flac",
        "streamsed-20261126T220019Z-Dog 000003.flac",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    for path, (first, last) in zip(
        paths, [(0, 1.2), (4.0, 7.0), (18.0, 20.0)], strict=True
    ):
        clip, rate = soundfile.read(path, dtype="float32")
        expected = samples[round(first * RATE) : round(last * RATE)]
        assert rate == RATE
        assert clip.shape == expected.shape
        assert np.abs(clip - expected).max() < 1e-4


def test_memory_of_clips_is_bounded_and_of_a_long_event_the_end_is_kept(tmp_path):
    clips = ClipSink(ClipFolder(tmp_path, max_bytes=10**9), sample_rate=1000)
    ramp = (np.arange(300_000) / 300_000).astype(np.float32)
    for start in range(0, len(ramp), 250):
        clips.on_samples(ramp[start : start + 250])
    assert sum(map(len, clips._history)) <= 120_250
    send(clips, closed(1, 10.0, 299.0))
    clips.close()
    clip, _ = soundfile.read(next(tmp_path.iterdir()), dtype="float32")
    assert 119_000 < len(clip) <= 120_250
    assert np.abs(clip - ramp[299_500 - len(clip) : 299_500]).max() < 1e-4


def test_an_event_that_closed_after_its_sound_was_dropped_has_no_clip(tmp_path):
    reported = []
    clips = ClipSink(
        ClipFolder(tmp_path, max_bytes=10**9), sample_rate=1000,
        on_saved=lambda record, update: reported.append((update.id, record)),
    )  # fmt: skip
    for _ in range(222):
        clips.on_samples(np.full(1000, 0.5, np.float32))
    send(clips, closed(1, 10.0, 12.0))
    clips.close()
    assert list(tmp_path.iterdir()) == []
    [(number, record)] = reported
    assert number == 1
    assert "clip" not in record
    assert clips.failures()["failed"] == 1
    assert "more than 120 s after its end" in clips.failures()["reason"]


def test_the_oldest_clips_go_and_strangers_stay(tmp_path):
    stranger = tmp_path / "holiday.flac"
    stranger.write_bytes(b"x" * 500_000)
    noise = np.random.default_rng(0).uniform(-1, 1, 10 * RATE).astype(np.float32)
    folder = ClipFolder(tmp_path, max_bytes=700_000)
    clips = ClipSink(folder, sample_rate=RATE)
    clips.on_samples(noise)
    for n in range(1, 8):
        send(clips, closed(n, 3.0, 4.5))  # 3 s of noise: 250 kB
    clips.close()
    folder.close()
    left = sorted(tmp_path.glob("streamsed-*"))
    assert [path.stem[-1] for path in left] == ["6", "7"]
    assert sum(path.stat().st_size for path in left) <= 700_000
    assert stranger.exists()
    assert len(folder._sizes) <= 3  # the names of deleted clips take no memory


def test_a_folder_that_vanishes_is_reported(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    clips = ClipSink(ClipFolder(folder, max_bytes=10**6), sample_rate=RATE)
    clips.on_samples(scene(3.0))
    folder.rmdir()
    send(clips, closed(1))
    clips.close()
    (notice,) = clips.notices()
    assert "clips: 1 failed" in notice


def test_clips_want_a_folder_and_make_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"--save-clips .*file: is a file"):
        ClipFolder(tmp_path / "file", max_bytes=1)
    ClipFolder(tmp_path / "new" / "clips", max_bytes=1).close()
    assert (tmp_path / "new" / "clips").is_dir()
