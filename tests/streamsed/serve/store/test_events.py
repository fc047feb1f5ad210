"""`streamsed events`: what a store holds, as a person or a program wants it."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import chain

import pyarrow.parquet as pq
import pytest
from environment import ENVIRONMENT, without
from hypothesis import given
from hypothesis import strategies as st
from serve_records import NOON, Sounds, send

from streamsed.serve.store.export import csv_lines
from streamsed.serve.store.moments import read_moment
from streamsed.serve.store.reader import StoreReader
from streamsed.serve.store.sink import StoreSink
from streamsed.serve.store.stored import StoredEvent

IN_UTC = ENVIRONMENT | {"TZ": "UTC"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two sources from noon to three: one detects dogs, the other speech."""
    path = tmp_path_factory.mktemp("home") / "home.db"
    kitchen, garden = Sounds("kitchen"), Sounds("garden", run="0b0b0b0b")
    sink = StoreSink(path)
    send(
        sink,
        kitchen.started(),
        garden.started(),
        *chain(*(kitchen.lifecycle(n, 3600.0 * n, 3600.0 * n + 1.5) for n in range(3))),
        *garden.lifecycle(1, 5400.0, 5404.0, "Speech"),
        garden.event("withdrawn", 2, 5500.0, 5504.0),
        kitchen.status(10800, heard=10000, lost=800),
        garden.status(10800, heard=8000, lost=2800),
    )
    sink.close()
    return path


def test_a_table_lists_events_and_rates_per_hour_listened(streamsed, path):
    run = streamsed("events", "--store", path, env=IN_UTC)
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line.split() for line in run.stdout.splitlines() if line.strip()]
    assert lines[1] == ["2026-11-26", "12:00:00", "kitchen", "Dog", "1.5", "s", "0.75"]
    assert [line[3] for line in lines[1:5]] == ["Dog", "Dog", "Speech", "Dog"]
    assert " ".join(lines[5]) == "listened for 5 h 0 min, 1 h 0 min lost"
    assert lines[7:] == [["Dog", "3", "0.60"], ["Speech", "1", "0.20"]]


def test_a_part_of_a_store_is_chosen_by_time_label_and_source(streamsed, path):
    def onsets(*options):
        run = streamsed("events", "--store", path, "-f", "jsonl", *options, env=IN_UTC)
        assert (run.returncode, run.stderr) == (0, "")
        return [json.loads(line)["onset"][11:16] for line in run.stdout.splitlines()]

    assert onsets() == ["12:00", "13:00", "13:30", "14:00"]
    assert onsets("--since", "2026-11-26T13:00") == ["13:00", "13:30", "14:00"]
    assert onsets("--until", "2026-11-26 13:30:01", "--label", "dog") == [
        "12:00",
        "13:00",
    ]
    assert onsets("--source", "garden") == ["13:30"]
    assert onsets("--label", "Speech", "--label", "Dog", "--until", "2026-11-26") == []


def test_every_format_holds_the_same_events(streamsed, path, tmp_path):
    """JSON lines, CSV and Parquet agree with the store, to the microsecond at least."""
    with StoreReader(path) as reader:
        stored = list(reader.events())
    for suffix in ("jsonl", "csv", "parquet"):
        run = streamsed("events", "--store", path, "-o", tmp_path / f"e.{suffix}")
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [e.to_dict() for e in stored]
    text = (tmp_path / "e.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["onset"] for row in rows] == [e.to_dict()["onset"] for e in stored]
    assert [float(row["score"]) for row in rows] == [e.score for e in stored]
    table = pq.read_table(tmp_path / "e.parquet").to_pylist()
    for row, event in zip(table, stored, strict=True):
        assert row["onset"] == datetime.fromtimestamp(event.onset, UTC)
        assert row["offset"] - row["onset"] == timedelta(seconds=event.duration)
        assert (row["label"], row["source"]) == (event.label, event.source)


def test_a_settings_file_leads_to_its_store(streamsed, path, tmp_path):
    home = tmp_path / "home.toml"
    home.write_text(f'model = "elsewhere.pt"\n[store]\npath = "{path}"\n')
    run = streamsed("events", home, "-f", "csv")
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 5
    home.write_text(f'[store]\npath = "{path}"\ndays = -1\n')
    run = streamsed("events", home)
    assert run.returncode == 2
    assert f"{home}:3: days=-1 must be a number above 0" in run.stderr
    home.write_text("[mqtt]\n")
    assert (
        "no [store]; add one, or give --store FILE" in streamsed("events", home).stderr
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "Dgo"], "--label: unknown label 'Dgo'; did you mean 'Dog'?"),
        (
            ["--source", "attic"],
            "--source: unknown source 'attic'; sources: garden, ki",
        ),
        (
            ["--since", "soon"],
            "--since: 'soon' is not a time; use for example 24h, 7d, yesterday",
        ),
        (
            ["--since", "99999999w"],
            "--since: '99999999w' is not a time; use for example 24h",
        ),
        (
            ["--since", "1h", "--until", "2h"],
            "--until must be later than --since 1h, not 2h",
        ),
        (
            ["--format", "xml"],
            "--format must be one of table, csv, jsonl, parquet, not 'xml'",
        ),
        (["--format", "parquet"], "--format parquet needs --output FILE"),
        (
            ["-o", "events.tsv"],
            "--output events.tsv: .tsv is not among the formats; its",
        ),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(streamsed, path, options, message):
    run = streamsed("events", "--store", path, *options)
    assert (run.returncode, run.stdout) == (2, "")
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_store_is_not_replaced_by_its_events(streamsed, path, tmp_path):
    settings = tmp_path / "home.toml"
    settings.write_text(f'[store]\npath = "{path}"\n')
    before = path.read_bytes(), settings.read_bytes()
    link = tmp_path / "events.csv"
    link.hardlink_to(path)
    for read, output in (
        (["--store", path], path),
        (["--store", path], link),
        ([settings], settings),
        ([settings], path),
    ):
        run = streamsed("events", *read, "-f", "csv", "-o", output)
        assert run.returncode == 2
        assert f"--output {output}: is read, and would be replaced" in run.stderr
    assert (path.read_bytes(), settings.read_bytes()) == before


def test_a_store_in_the_place_of_the_settings_is_named(streamsed, path):
    run = streamsed("events", path)
    assert run.returncode == 2
    assert f"{path}: is a store, not a settings file; give --store {path}" in run.stderr


def test_a_store_that_is_none_is_named(streamsed, tmp_path):
    run = streamsed("events", "--store", tmp_path / "no.db")
    assert run.returncode == 2
    assert "no.db: no such file" in run.stderr
    text = tmp_path / "notes.txt"
    text.write_text("Not a database at all, but long enough to be looked at.\n" * 100)
    run = streamsed("events", "--store", text)
    assert run.returncode == 2
    assert "not a store of streamsed, or a damaged one" in run.stderr
    assert "give either HOME.TOML or --store FILE" in streamsed("events").stderr


def test_parquet_says_what_to_install(streamsed, path, tmp_path):
    output = tmp_path / "e.parquet"
    command = ("events", "--store", path, "-o", output)
    run = streamsed(*command, env=without("pyarrow"))
    assert run.returncode == 2
    assert "--format parquet needs pyarrow; install it with" in run.stderr
    assert not output.exists()


def test_an_empty_store_says_that_nothing_was_recorded(streamsed, tmp_path):
    path = tmp_path / "home.db"
    StoreSink(path).close()
    run = streamsed("events", "--store", path, "--label", "Dog")
    assert (run.returncode, run.stdout.split("\n")[0]) == (0, "listened for 0.0 s")


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_no_text_of_a_store_is_a_formula_or_breaks_a_line_of_csv(label, clip):
    event = StoredEvent(1, 1, "a", "b", 1, label, 0.0, None, 0.5, "closed", clip)
    rows = list(csv.reader(io.StringIO("".join(csv_lines([event])), newline="")))
    assert len(rows) == 2
    found = dict(zip(*rows, strict=True))
    for name, text in (("label", label), ("clip", clip)):
        assert not found[name].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert found[name] in (text, f"'{text}")


def test_moments_are_given_in_the_ways_that_people_use():
    def seconds(text):
        return read_moment(text, option="--since", now=NOON) - NOON.timestamp()

    assert (seconds("90m"), seconds("2 w")) == (-5400, -14 * 86400)
    assert seconds("2026-11-26T12:30:00Z") == 1800
    assert seconds("2026-11-26T12:30:00+01:00") == -1800
    assert seconds("yesterday") == seconds("today") - 86400
    local = datetime(2026, 11, 25).astimezone()
    assert seconds("2026-11-25") == local.timestamp() - NOON.timestamp()
