"""What the view makes of a snapshot, at every size of a terminal."""

import io
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from rich.console import Console

from streamsed.events import Event
from streamsed.live.snapshot import Snapshot
from streamsed.live.summary import Summary, summary_table
from streamsed.live.view import picture
from streamsed.pipeline.lifecycle import EventUpdate

ORIGIN = datetime(2026, 1, 2, 7, 31, 30).timestamp()
LABELS = ("Speech", "Dog", "Electric_shaver_toothbrush")
DOG = EventUpdate("opened", 1, Event("Dog", 8.25, 10.0, 0.75), ongoing=True)
SPEECH = EventUpdate("closed", 2, Event("Speech", 2.0, 4.5, 0.9), ongoing=False)
SILENT = Snapshot(
    source="microphone",
    capture_rate=44100,
    step=0.5,
    latency=1.0,
    load=0.25,
    lost=1.5,
    now=10.0,
    peak=0.0,
    labels=LABELS,
    scores=np.zeros((0, 3), np.float32),
    scores_end=0.0,
    frame_duration=0.1,
    events=(),
    notice="",
    origin=ORIGIN,
)


def busy(**changes):
    scores = np.zeros((100, 3), np.float32)
    scores[50:, 0] = 1.0
    settings = {"peak": 0.5, "scores": scores, "scores_end": 10.0}
    return replace(SILENT, events=(SPEECH, DOG), **(settings | changes))


def lines_of(snapshot, size=(100, 14)):
    console = Console(file=io.StringIO(), width=size[0])
    console.print(picture(snapshot, size))
    return console.file.getvalue().splitlines()


def test_a_picture_needs_nothing_but_a_snapshot():
    status, level, speech, dog, shaver, _, *events = lines_of(busy())
    assert status.rstrip() == (
        "microphone  44100 Hz  step 0.50 s  latency 1.0 s  load 25 %  lost 1.5 s  07:31:40"
    )
    assert "  -6.0 dB" in level
    assert speech.startswith("Speech")
    assert speech.rstrip().endswith("1.00")
    assert dog.count("█") == pytest.approx(1.75 / 30 * 67, abs=1.5)
    assert shaver.startswith("Electric_shaver_toothbrush ")
    assert [line.split() for line in events[:2]] == [
        ["07:31:38.25", "ongoing", "0.75", "Dog"],
        ["07:31:32.00", "2.50", "s", "0.90", "Speech"],
    ]


def test_each_time_on_the_axis_stands_where_its_second_is():
    *_, dog, _, axis = lines_of(busy())[:6]
    times = {m[1]: m.start() for m in re.finditer(r"╵(\d\d:\d\d:\d\d)", axis)}
    assert list(times) == [f"07:31:{second}" for second in range(10, 40, 5)]
    # Of 30 s in the lane, the dog began 1.75 s before its end.
    n_cells = 100 - len(LABELS[2]) - 7
    first = len(LABELS[2]) + 1
    for clock, place in times.items():
        seconds = (datetime.strptime(clock, "%H:%M:%S")).second - 10
        assert place == pytest.approx(first + seconds / 30 * n_cells, abs=1)
    assert dog.index("█") == pytest.approx(first + 28.25 / 30 * n_cells, abs=1)


@pytest.mark.parametrize("width", [10, 20, 33, 40, 60, 80, 132])
@pytest.mark.parametrize("source", ["pulse", "A microphone with a very long name"])
def test_what_was_lost_is_reported_at_every_width(width, source):
    status = lines_of(busy(source=source), size=(width, 14))[0]
    assert "lost 1.5 s" in status
    assert len(status) <= width


def test_what_matters_least_goes_first_when_it_gets_narrow():
    said = [lines_of(busy(), size=(width, 14))[0] for width in range(100, 21, -1)]
    words = ("44100 Hz", "latency", "step", "07:31:40", "load", "microphone")
    widths = [sum(word in status for status in said) for word in words]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] == len(said)


def test_only_labels_that_were_asked_for_have_lanes():
    lines = lines_of(busy(reported=("Dog",)))
    assert lines[2].startswith("Dog ")
    assert lines[3].strip().startswith("╵")
    assert not any(line.startswith(("Speech", "Electric")) for line in lines)


@pytest.mark.parametrize(("width", "name"), [(80, LABELS[2]), (30, LABELS[2][:10])])
def test_names_are_whole_where_there_is_room(width, name):
    lanes = lines_of(busy(), size=(width, 14))[2:5]
    assert [lane.split(" ")[0] for lane in lanes] == ["Speech", "Dog", name]


def test_a_low_terminal_keeps_the_lanes_that_matter():
    lines = lines_of(busy(notice="a notice"), size=(80, 5))
    assert lines[2].startswith("Dog")  # it sounds
    assert lines[-1].startswith("a notice")


def test_what_failed_last_stands_at_the_bottom_and_in_the_summary():
    failures = {"exec": {"failed": 2, "reason": "exit code 3: no such bell"}}
    *_, failed, notice = lines_of(busy(failures=failures, notice="a notice"))
    assert failed.startswith("exec: 2 failed (exit code 3: no such bell)")
    assert notice.startswith("a notice")
    summary = Summary(44100, failures=failures)
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summary))
    assert "2 failed (exit code 3: no such bell)" in console.file.getvalue()


@pytest.mark.parametrize("snapshot", [SILENT, busy()])
@pytest.mark.parametrize("size", [(1, 1), (20, 3), (40, 5), (100, 40)])
def test_a_picture_fits_its_size(snapshot, size):
    lines = lines_of(snapshot, size)
    assert len(lines) == size[1]
    assert all(len(line) <= size[0] for line in lines)
