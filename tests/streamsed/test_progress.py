"""Long work reports how far it is: a bar on a terminal, lines in a log, else nothing."""

import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from datetime import datetime

import pytest
from environment import ENVIRONMENT

from streamsed import progress
from streamsed.corpus.status import Status
from streamsed.progress import json_log, report, task, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch, patience=0.0):
    """Put a terminal on stderr; pytest would take it away from a fixture."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(progress, "PATIENCE", patience)
    return screen


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_a_bar_appears_only_if_one_waits_long(monkeypatch, patience):
    screen = terminal(monkeypatch, patience)
    with task("detecting", 100, "s of audio") as detecting:
        time.sleep(0.01)
        detecting.advance(40, "a.wav")
    assert ("40 of 100 s of audio" in screen.getvalue()) == (patience == 0)


def test_a_task_inside_a_task_has_a_bar_below_it(monkeypatch):
    screen = terminal(monkeypatch)
    with task("runs", 2, "runs") as runs:
        for _ in track([1, 2, 3], "steps", total=3, unit="steps"):
            pass
        assert "0 of 2 runs" in screen.getvalue()
        assert "of 3 steps" in screen.getvalue()
        runs.advance()
    assert progress._screen._bars is None


def test_a_corpus_has_a_bar_by_size_and_ends_with_two_lines(monkeypatch, tmp_path):
    screen = terminal(monkeypatch)
    status = Status(tmp_path / "status.json", 3, 8_000_000)
    status.skip_done(1, 2_000_000)
    status.add("ok", 60.0, 4_000_000, "")
    status.report()
    assert "6 of 8 MB" in screen.getvalue()
    status.add("failed", 0.0, 2_000_000, "no sound")
    status.report("finished")
    *_, line, error = screen.getvalue().splitlines()
    assert "streamsed: 3 of 3 files" in line
    assert line.endswith("1 failed")
    assert error == "streamsed: the newest error: no sound"
    assert progress._screen._bars is None


def test_what_is_reported_stands_above_the_bars(monkeypatch):
    screen = terminal(monkeypatch)
    with task("steps", 2, "steps") as steps:
        steps.advance()
        report("validation", "event F1 12.5\x1b[2J", macro=0.125)
    assert "event F1 12.5\\x1b[2J\n" in screen.getvalue()


def test_nothing_goes_into_a_pipe(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with task("detecting", 100, "s of audio") as detecting:
        detecting.advance(40, "a.wav")
        report("validation", "event F1 12.5")
    assert capsys.readouterr() == ("", "")


def test_the_log_says_how_far_each_task_is(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY", 0.0)
    path = tmp_path / "new" / "log.jsonl"
    with json_log(path), task("mixing", 4, "soundscapes") as mixing:
        mixing.advance(1, "a.flac")
        time.sleep(0.02)
        report("validation", "for people", macro=0.125)
        mixing.update(4)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["state"] for line in lines] == [
        *("began", "progress", "validation", "progress", "ended"),
    ]
    assert [line["done"] for line in lines if "done" in line] == [0, 1, 4, 4]
    assert lines[1]["detail"] == "a.flac"
    assert lines[1]["total"] == 4
    assert lines[0]["left"] is None
    assert lines[3]["left"] == 0
    assert lines[2]["macro"] == 0.125
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)


def test_the_log_has_a_line_a_second_however_often_work_reports(tmp_path):
    began = time.monotonic()
    with json_log(tmp_path / "log"), task("counting", 1000, "things") as counting:
        for _ in range(1000):
            counting.advance()
    n_lines = len((tmp_path / "log").read_text().splitlines())
    assert n_lines <= 2 + (time.monotonic() - began)  # and the first and the last


def test_a_log_is_appended_to_and_ends_with_the_command(tmp_path):
    path = tmp_path / "log"
    for _ in range(2):
        with pytest.raises(OSError, match="full"), json_log(path), task("a", 1, "b"):
            raise OSError("full")
    report("unseen")
    states = [json.loads(line)["state"] for line in path.read_text().splitlines()]
    assert states == ["began", "failed"] * 2


def test_what_was_done_before_does_not_make_it_look_quick():
    with task("steps", 100, "steps") as steps:
        steps.resume(90)
        steps.update(91)
        before, left, after = steps.waited, steps.left, steps.waited
        assert 0 < 9 * before <= left <= 9 * after


IN_TERMINAL = """
import time
from streamsed import progress
from streamsed.corpus.status import Status
progress.PATIENCE = 0.0
with progress.task("detecting", 2, "things") as detecting:
    for number in range(2):
        detecting.advance()
        print("result", number, flush=True)
"""


def test_results_go_where_they_are_sent_while_a_bar_is_on_the_terminal():
    master, slave = pty.openpty()
    drawn = []

    def read():
        while True:
            try:
                drawn.append(os.read(master, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    run = subprocess.run(
        [sys.executable, "-c", IN_TERMINAL],
        stdout=subprocess.PIPE,
        stderr=slave,
        check=True,
        env=ENVIRONMENT | {"TERM": "xterm"},
    )
    os.close(slave)
    reader.join(10)
    os.close(master)
    assert run.stdout == b"result 0\nresult 1\n"
    assert b"of 2 things" in b"".join(drawn)
    assert b"result" not in b"".join(drawn)
