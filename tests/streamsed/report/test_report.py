"""A report says what a log holds: how often, how long, when, per hour listened."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import soundfile
from listening import bursts
from sounds import RATE
from tables import shown

from streamsed.report.chart import plot_report
from streamsed.report.log import read_logs
from streamsed.report.page import duration, page, sparkline
from streamsed.report.tally import csv_lines, hours_of, tallies

START = datetime(2026, 5, 4, 21, 30, tzinfo=UTC)


def at(seconds):
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def record(state, seconds, *, run="a1", **more):
    return {"at": seconds, "run": run, "time": at(seconds), "state": state, **more}


def closed(label, onset, length, *, run="a1", score=0.8, later=10.0):
    times = {"onset": onset, "offset": onset + length, "time": at(onset)}
    event = {"id": 1, "label": label, "score": score, **times}
    return record("closed", onset + length + later, run=run) | event


def listening(run="a1", seconds=0.0):
    return record("listening", seconds, run=run) | {"time": at(0)}


def write_log(path, records):
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


@pytest.fixture
def night(tmp_path):
    """Two hours with a gap of half an hour, three dogs and a vacuum."""
    return write_log(
        tmp_path / "night.jsonl",
        [
            record("started", 0.0),
            listening(),
            record("opened", 10.5, id=1, label="Dog", onset=10.0, offset=None),
            closed("Dog", 10.0, 1.0),
            closed("Vacuum_cleaner", 60.0, 300.0),
            closed("Dog", 100.0, 2.0),
            record("gap", 5400.0, onset=3600.0, offset=5400.0, reason="lost"),
            closed("Dog", 6000.0, 6.0, score=0.6),
            record("stopped", 7200.0, listened=5400.0, lost=1800.0),
        ],
    )


def test_each_label_has_its_counts_per_hour_listened(night):
    log = read_logs([night])
    assert log.seconds_listened == pytest.approx(5400)
    vacuum, dog = tallies(log)
    assert (vacuum.label, vacuum.n_events, vacuum.seconds) == ("Vacuum_cleaner", 1, 300)
    assert (dog.label, dog.n_events, dog.seconds, dog.median) == ("Dog", 3, 9, 2)
    assert dog.per_hour == pytest.approx(3 / 1.5)
    assert dog.score == pytest.approx((0.8 + 0.8 + 0.6) / 3)
    assert dog.first == (START + timedelta(seconds=10)).timestamp()
    assert dog.last == (START + timedelta(seconds=6000)).timestamp()


def test_the_hours_are_those_of_the_clock_and_add_up(night):
    log = read_logs([night])
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(log)))))
    assert len(rows) == 2 * len(hours_of(log))
    dogs = [row for row in rows if row["label"] == "Dog"]
    assert [int(row["events"]) for row in dogs] == list(tallies(log)[1].by_hour)
    assert sum(int(row["events"]) for row in dogs) == 3
    assert sum(float(row["listened_s"]) for row in dogs) == pytest.approx(5400)
    assert sum(float(row["sounding_s"]) for row in dogs) == pytest.approx(9)
    for row in dogs:
        assert datetime.fromisoformat(row["hour"]).minute == 0
        rate = 3600 * int(row["events"]) / float(row["listened_s"])
        assert float(row["events_per_hour"]) == pytest.approx(rate, abs=1e-3)


def test_a_label_that_is_a_formula_is_text_in_a_spreadsheet(tmp_path):
    records = [listening(), closed("=1+1", 5.0, 1.0)]
    (_, row) = csv_lines(read_logs([write_log(tmp_path / "log", records)]))
    assert row.split(",")[1] == "'=1+1"


def test_a_log_in_two_files_is_one_log(night, tmp_path):
    lines = night.read_text().splitlines(keepends=True)
    one, two = tmp_path / "one", tmp_path / "two"
    for cut in range(2, len(lines)):
        one.write_text("".join(lines[:cut]))
        two.write_text("".join(lines[cut:]))
        log = read_logs([one, two])
        assert log == read_logs([night])


def test_a_log_that_is_given_twice_or_with_a_copy_counts_once(night, tmp_path):
    copy = tmp_path / "night.jsonl.bak"
    copy.write_bytes(night.read_bytes())
    assert read_logs([night, night, copy]) == read_logs([night])


def test_a_file_from_after_a_rotation_begins_where_it_begins(tmp_path):
    # Its first record comes an hour after the run began.
    path = write_log(
        tmp_path / "rotated",
        [closed("Dog", 3600.0, 1.0, later=0), record("stopped", 7201.0)],
    )
    log = read_logs([path])
    assert log.seconds_listened == pytest.approx(3600)
    assert log.events[0].onset == (START + timedelta(hours=1)).timestamp()


def test_an_hour_that_two_listened_is_an_hour(tmp_path):
    records = [listening("a1"), listening("b2")]
    records += [closed("Dog", 50.0, 1.0, run=run) for run in ("a1", "b2")]
    records += [record("stopped", 3600.0, run=run) for run in ("a1", "b2")]
    log = read_logs([write_log(tmp_path / "both", records)])
    assert (log.seconds_listened, log.n_runs, len(log.events)) == (3600, 2, 2)


def test_logs_without_run_ids_and_clock_times_of_events_are_read_too(tmp_path):
    records = []
    for _ in range(2):
        each = [record("started", 0.0), listening(), closed("Dog", 5.0, 1.0)]
        each.append(record("stopped", 20.0))
        records += each
    for each in records:
        del each["run"]
        if each["state"] == "closed":
            del each["time"]
    log = read_logs([write_log(tmp_path / "old", records)])
    assert log.n_runs == 2
    assert {event.onset for event in log.events} == {
        (START + timedelta(seconds=5)).timestamp()
    }


def test_a_machine_that_was_suspended_listened_before_and_after_the_night(tmp_path):
    night = 8 * 3600.0
    log = read_logs(
        [
            write_log(
                tmp_path / "laptop.jsonl",
                [
                    listening(),
                    closed("Dog", 10.0, 1.0),
                    record("listening", 600.0) | {"time": at(night)},
                    closed("Dog", 700.0, 1.0) | {"time": at(night + 700)},
                    record("listening", 3600.0) | {"time": at(night + 0.3)},  # drift
                    record("stopped", 4200.0),
                ],
            )
        ]
    )
    began = START.timestamp()
    spans = [(start - began, stop - began) for start, stop in log.listened]
    expected = [(0.0, 600.0), (night + 600.3, night + 4200.3)]
    assert spans == [pytest.approx(span, abs=0.001) for span in expected]
    assert log.n_runs == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"at": 3',
        "[]",
        "7",
        '{"at": 1e999, "state": "closed"}',
        '{"state": "closed", "at": 5}',
        json.dumps(closed("Dog", 5.0, -1.0)),
        json.dumps(closed(7, 5.0, 1.0)),
        json.dumps(closed("\ud800", 5.0, 1.0)),
        json.dumps(closed("Dog", 5.0, 1.0, score=2)),
        json.dumps(closed("Dog", 5.0, 1.0) | {"time": "soon"}),
        json.dumps(closed("Dog", 5.0, 1.0) | {"time": "2026-01-01T00:00:00"}),
        json.dumps(closed("Dog", 5.0, 1.0) | {"time": "9999-12-31T23:59:59Z"}),
        json.dumps(closed("Dog", 5.0, 1.0) | {"time": "0001-01-01T00:00:00Z"}),
        json.dumps(closed("Dog", 5.0, 1.0) | {"offset": 1e300}),
        json.dumps(closed("Dog", 5.0, 1.0) | {"at": 1e12}),
        json.dumps(record("gap", 20.0, onset=20.0, offset=1.0)),
        json.dumps(record("stopped", 5.0) | {"at": -1e18}),
        "\x00\xff",
    ],
)
def test_a_line_that_is_no_record_is_counted_and_left_out(night, line):
    whole = read_logs([night])
    with night.open("a") as file:
        file.write(line + "\n")
    log = read_logs([night])
    assert (log.events, log.listened) == (whole.events, whole.listened)
    assert log.n_left_out == 1
    assert "1 invalid line" in " ".join(shown(page(log, 100)).split())


def test_a_clock_that_began_in_1970_gives_rows_of_the_hours_listened_to_only(tmp_path):
    early = "1970-01-01T00:00:10Z"
    records = [
        record("listening", 0.0, run="b0") | {"time": early},
        closed("Cat", 5.0, 1.0, run="b0") | {"time": early},
        record("stopped", 60.0, run="b0"),
        listening(),
        closed("Dog", 60.0, 1.0),
        record("stopped", 7200.0),
    ]
    log = read_logs([write_log(tmp_path / "clockless", records)])
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(log)))))
    assert {row["hour"][:4] for row in rows} == {"1970", "2026"}
    assert len(rows) == 2 * (1 + 3)
    assert sum(int(row["events"]) for row in rows) == 2
    assert "in 2 runs" in shown(page(log, 100))


def test_the_page_shows_all_where_there_is_room(night):
    log = read_logs([night])
    wide, narrow = shown(page(log, 160)), shown(page(log, 80))
    assert "listened for 1 h 30 min, not for 30 min 0 s" in " ".join(narrow.split())
    rows = {line.split()[0]: line.split() for line in narrow.splitlines() if line}
    assert rows["Dog"][1:5] == ["3", "2.0", "9.0", "s"]
    assert rows["Vacuum_cleaner"][1:7] == ["1", "0.7", "5", "min", "0", "s"]
    assert "median" in wide
    assert "median" not in narrow


def test_a_long_label_leaves_room_for_the_numbers(tmp_path):
    records = [listening(), closed("x" * 200, 5.0, 1.0), record("stopped", 3600.0)]
    log = read_logs([write_log(tmp_path / "log", records)])
    (row,) = (
        line.split() for line in shown(page(log, 80)).splitlines() if "xxx" in line
    )
    assert row[1:5] == ["1", "1.0", "1.0", "s"]
    pytest.importorskip("matplotlib")
    plot_report(tmp_path / "log.png", log)  # warnings are errors here
    assert (tmp_path / "log.png").stat().st_size > 5000


def test_a_log_without_events_says_so(tmp_path):
    records = [listening(), record("stopped", 60.0)]
    log = read_logs([write_log(tmp_path / "quiet", records)])
    assert "listened for 1 min 0 s; no events" in shown(page(log, 100))
    (header,) = csv_lines(log)
    assert header.startswith("hour,label,listened_s,events,")


def test_bars_and_lengths_of_time():
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""
    assert len(sparkline([1] * 1000)) <= 24
    assert duration(59.94) == "59.9 s"
    assert duration(3599.6) == "1 h 0 min"


def test_the_command_reports_what_listen_logged(streamsed, model_path, tmp_path):
    sound, log = tmp_path / "sound.wav", tmp_path / "night.jsonl"
    sounds = [("Speech", 0.5, 1.0), ("Dog", 2.0, 0.7), ("Speech", 3.5, 1.0)]
    soundfile.write(sound, bursts(sounds, 6.0), RATE, subtype="FLOAT")
    listened = streamsed(
        *("listen", "--file", sound, "--model", model_path, "--log", log),
        *("--format", "jsonl"),
    )
    assert listened.returncode == 0, listened.stderr
    run = streamsed("report", log, "-f", "csv", "--plot", tmp_path / "new" / "p.png")
    assert (run.returncode, run.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    events = {"Dog": 0, "Speech": 0}
    for row in rows:
        events[row["label"]] += int(row["events"])
    assert events == {"Dog": 1, "Speech": 2}
    hours = {row["hour"]: float(row["listened_s"]) for row in rows}
    assert sum(hours.values()) == pytest.approx(6.0, abs=0.1)
    assert (tmp_path / "new" / "p.png").stat().st_size > 5000
    table = streamsed("report", log, "-o", tmp_path / "report.csv")
    assert (table.returncode, table.stdout) == (0, "")
    assert (tmp_path / "report.csv").read_text() == run.stdout
    only = streamsed("report", log, "--label", "DOG", "-o", tmp_path / "report.txt")
    assert (only.returncode, only.stdout) == (0, "")
    text = (tmp_path / "report.txt").read_text()
    assert "Dog" in text
    assert "Speech" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.jsonl"], "nothing.jsonl: no such file"),
        (["night.jsonl", "-f", "xml"], "--format must be table or csv, not 'xml'"),
        (["night.jsonl", "--label", "Cow"], "--label: unknown label 'Cow'; Labels: "),
        (
            ["nothing.jsonl", "--plot", "p.foo"],
            "--plot p.foo: the name must end in .png, .svg or .pdf",
        ),
        (
            ["night.jsonl", "-f", "csv", "-o", "night.jsonl"],
            "--output night.jsonl: is read, and would be replaced; choose another file",
        ),
        (["other.txt"], "other.txt: not a log of `streamsed listen --log`"),
    ],
)
def test_what_cannot_be_reported_is_one_line(streamsed, night, arguments, words):
    (night.parent / "other.txt").write_text("hello\n")
    before = night.read_bytes()
    run = streamsed("report", *arguments, cwd=night.parent)
    assert night.read_bytes() == before
    assert run.returncode == 2
    assert words in run.stderr
    assert len(run.stderr.splitlines()) == 1
