import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.live.outputs import LiveOutputs
from streamsed.live.sinks.log_file import LogFile, Rotation

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def record(number, seconds=0.0, **more):
    when = NOON + timedelta(seconds=seconds)
    state = {"state": "closed", "id": number}
    return {"at": seconds, "time": when.isoformat(), **state, **more}


def listening(seconds=0.0):
    return record(0, seconds) | {"state": "listening"}


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def all_of(folder):
    """Records of all files, the rotated ones first, as they were begun."""
    last = folder / "night.jsonl"
    older = sorted(p for p in folder.iterdir() if p != last)
    return [read(path) for path in [*older, last]]


def ids(files):
    return [r["id"] for records in files for r in records if r["state"] == "closed"]


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=40),
    st.sampled_from([200, 1000, 3000]),
)
def test_no_record_is_lost_or_doubled_by_rotation(tmp_path_factory, paddings, limit):
    folder = tmp_path_factory.mktemp("logs")
    log = LogFile(folder / "night.jsonl", rotation=Rotation(max_bytes=limit))
    log.on_record(listening(), None)
    for number, padding in enumerate(paddings):
        log.on_record(record(number, number, padding="x" * padding), None)
    files = all_of(folder)
    assert ids(files) == list(range(len(paddings)))
    for path in folder.iterdir():
        assert path.stat().st_size <= limit or len(read(path)) <= 2
    assert all(records[0]["state"] == "listening" for records in files)
    assert {records[0]["time"] for records in files} == {NOON.isoformat()}


@pytest.mark.parametrize("content", [b"fLaC\0\0\0", b"[log]\npath = 1", b"a,b\n"])
def test_nothing_is_added_to_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "night.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"night\.jsonl: is not a log, and nothing is"):
        LogFile(path)
    outputs = LiveOutputs(log=path)
    with pytest.raises(ValueError, match=r"--log: .*night\.jsonl: is not a log"):
        outputs.open(44100, None)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\n", b"\0\0\0", b'{"at": 1.0, "st'])
def test_a_log_goes_on_whatever_a_power_cut_left_of_it(tmp_path, content):
    path = tmp_path / "night.jsonl"
    path.write_bytes(content)
    log = LogFile(path)
    log.on_record(record(1), None)
    log.close()
    assert json.loads(path.read_bytes().splitlines()[-1])["id"] == 1


def test_a_log_is_rotated_by_the_age_of_its_first_record(tmp_path):
    log = LogFile(tmp_path / "night.jsonl", rotation=Rotation.parse("1h"))
    log.on_record(listening(), None)
    for number in range(13):
        log.on_record(record(number, 1200.0 * number), None)
    files = all_of(tmp_path)
    assert [len(ids([records])) for records in files] == [3, 3, 3, 3, 1]
    assert ids(files) == list(range(13))
    began = NOON.astimezone()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == f"night-{began.strftime('%Y%m%dT%H%M%S')}.jsonl"


def test_a_log_that_was_begun_before_is_as_old_as_its_first_record(tmp_path):
    path = tmp_path / "night.jsonl"
    path.write_text(json.dumps(record(0, 0.0)) + "\n")
    log = LogFile(path, rotation=Rotation.parse("1d"))
    log.on_record(record(1, 86_000.0), None)
    log.on_record(record(2, 86_400.0), None)
    assert [ids([records]) for records in all_of(tmp_path)] == [[0, 1], [2]]


def test_a_log_that_is_moved_is_left_and_begun_again_with_a_reminder(tmp_path):
    path = tmp_path / "night.jsonl"
    log = LogFile(path)
    log.on_record(listening(), None)
    log.on_record(record(1, 1.0), None)
    path.rename(tmp_path / "night.jsonl.1")
    log.on_record(record(2, 2.0), None)
    assert ids([read(tmp_path / "night.jsonl.1")]) == [1]
    first, second = read(path)
    assert first == listening() | {"at": 2.0}
    assert second["id"] == 2


def test_a_log_that_is_removed_is_there_again_at_once(tmp_path):
    path = tmp_path / "night.jsonl"
    log = LogFile(path)
    log.on_record(listening(), None)
    path.unlink()
    assert log.notices() == []
    assert [r["state"] for r in read(path)] == ["listening"]


def test_a_log_is_reopened_when_asked_to(tmp_path):
    path = tmp_path / "night.jsonl"
    log = LogFile(path)
    log.on_record(record(1), None)
    before = log._descriptor
    log.reopen()
    log.on_record(record(2), None)
    assert ids([read(path)]) == [1, 2]
    assert log._reopen is False
    assert before is not None


def test_a_log_whose_folder_is_gone_is_written_further_and_said_once(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "night.jsonl"
    log = LogFile(path)
    log.on_record(record(1), None)
    moved = folder.rename(tmp_path / "moved")
    log.on_record(record(2), None)
    assert log.notices() == ["log: cannot be reopened (No such file or directory)"]
    log.on_record(record(3), None)
    assert log.notices() == []
    assert ids([read(moved / "night.jsonl")]) == [1, 2, 3]
    folder.mkdir()
    log.on_record(record(4), None)
    assert ids([read(path)]) == [4]


def test_two_listeners_that_rotate_one_log_lose_nothing(tmp_path):
    path, n = tmp_path / "night.jsonl", 400

    def write(writer):
        log = LogFile(path, rotation=Rotation(max_bytes=3000))
        for number in range(n):
            log.on_record(record(number, 0.0, run=writer), None)

    writers = [threading.Thread(target=write, args=(w,)) for w in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = [r for p in tmp_path.iterdir() for r in read(p)]
    assert len(records) == 3 * n
    assert len({(r["run"], r["id"]) for r in records}) == 3 * n
    assert len(list(tmp_path.iterdir())) > 20


@pytest.mark.parametrize(
    "text", ["10", "MB", "10 apples", "-1MB", "0d", "1d,", "", "10mb"]
)
def test_a_rotation_that_is_none_names_the_option(text):
    with pytest.raises(ValueError, match=r"--log-rotate must be a size or an age"):
        Rotation.parse(text)
