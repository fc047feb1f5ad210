import os
import sqlite3
from contextlib import closing
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve_records import NOON, Sounds, send

from streamsed.serve.store.batch import Batch
from streamsed.serve.store.database import open_to_write
from streamsed.serve.store.reader import Choice, StoreReader
from streamsed.serve.store.retention import Retention
from streamsed.serve.store.schema import MIGRATIONS, migrate
from streamsed.serve.store.sink import StoreSink

T0 = NOON.timestamp()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home.db"


def store(path, *records, **options):
    """Write records and close the store again."""
    sink = StoreSink(path, **options)
    send(sink, *records)
    assert sink.writer.wait_until_written(30)
    sink.close()
    assert sink.failures() == {}


def test_events_come_back_as_they_were_reported(path):
    kitchen, garden = Sounds("kitchen"), Sounds("garden", run="0b0b0b0b")
    store(
        path,
        kitchen.started(),
        garden.started(),
        *kitchen.lifecycle(1, 3.25, 4.5, "Dog"),
        *garden.lifecycle(1, 2.0, 7.0, "Speech"),
        kitchen.event("opened", 2, 20.0),
    )
    with StoreReader(path) as reader:
        first, second = reader.events()
        assert (first.source, first.label, first.state) == (
            "garden",
            "Speech",
            "closed",
        )
        assert (first.onset, first.offset) == (T0 + 2, T0 + 7)
        assert (second.source, second.run, second.number) == ("kitchen", "0a0a0a0a", 1)
        assert (second.onset, second.duration) == (T0 + 3.25, 1.25)
        assert second.to_dict()["onset"] == "2026-11-26T12:00:03.250Z"
        everything = list(reader.events(Choice(states=())))
        assert [event.state for event in everything] == ["closed", "closed", "opened"]
        assert (everything[2].offset, everything[2].duration) == (None, None)
        assert reader.event(second.id) == second
        assert reader.event(99) is None
        assert (reader.labels(), reader.sources()) == (
            ["Dog", "Speech"],
            ["garden", "kitchen"],
        )


def test_only_what_is_asked_for_comes_back(path):
    sounds, other = Sounds("kitchen"), Sounds("garden")
    lifecycles = [sounds.lifecycle(n, 10.0 * n, 10.0 * n + 1) for n in range(1, 6)]
    lifecycles.append(other.lifecycle(1, 15, 16, "Cat"))
    store(path, *chain(*lifecycles))
    with StoreReader(path) as reader:

        def onsets(**choice):
            return [round(e.onset - T0) for e in reader.events(Choice(**choice))]

        assert onsets() == [10, 15, 20, 30, 40, 50]
        assert onsets(since=T0 + 20, until=T0 + 40) == [20, 30]
        assert onsets(labels=["Cat"]) == [15]
        assert onsets(sources=["garden", "nowhere"]) == [15]
        assert onsets(labels=["Dog"], sources=["garden"]) == []
        assert [round(e.onset - T0) for e in reader.events(newest=2)] == [50, 40]


@settings(max_examples=30)  # each is a file with its commits
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), max_size=30))
def test_an_event_is_what_its_last_record_said_however_commits_fall(
    tmp_path_factory, script
):
    """The store agrees with a dictionary, for every way to cut records into commits."""
    path = tmp_path_factory.mktemp("store") / "home.db"
    states = ("opened", "updated", "ended", "closed", "withdrawn")
    sounds, expected, began = Sounds(), {}, None
    with closing(open_to_write(path)) as connection:
        older, batch = Batch(), Batch()
        for step, (number, kind) in enumerate(script):
            offset = None if kind < 2 else number + step + 1.0
            record, _ = sounds.event(states[kind], number, float(number), offset)
            batch.add(record)
            expected[number] = (states[kind], record["offset"])
            began = record["at"] if began is None else began
            if step % 3 == 1:  # a commit that failed, and its records wait
                batch.put_before(older)
                older, batch = batch, Batch()
            if step % 5 == 4:
                batch.put_before(older)
                batch.write(connection)
                older, batch = Batch(), Batch()
        batch.put_before(older)
        batch.write(connection)
        rows = connection.execute("SELECT number, state, offset FROM event").fetchall()
        runs = connection.execute("SELECT started FROM run").fetchall()
    found = {n: (s, None if o is None else round(o - T0, 6)) for n, s, o in rows}
    assert found == expected
    assert runs == ([] if began is None else [(pytest.approx(T0 + began, abs=2e-6),)])


def test_a_clip_is_kept_when_its_commit_failed_and_the_event_came_again(path):
    record, _ = Sounds().event("closed", 1, 1.0, 2.0)
    older, newer = Batch(), Batch()
    older.add(record | {"clip": "dog.flac"})
    newer.add(record)
    newer.put_before(older)
    with closing(open_to_write(path)) as connection:
        newer.write(connection)
        assert connection.execute("SELECT clip FROM event").fetchall() == [
            ("dog.flac",)
        ]


def test_changes_are_counted_so_that_nothing_is_missed_between_two_looks(path):
    sounds, seen = Sounds(), []
    sink = StoreSink(path)
    after = 0
    for number in range(1, 5):
        for record in sounds.lifecycle(number, 10.0 * number, 10.0 * number + 1):
            send(sink, record)
            assert sink.writer.wait_until_written(30)
            with StoreReader(path) as reader:
                new = reader.changes(after)
                assert reader.last_seq() == new[-1].seq > after
            seen += [(event.number, event.state) for event in new]
            after = new[-1].seq
    sink.close()
    states = ("opened", "ended", "closed")
    assert seen == [(n, state) for n in range(1, 5) for state in states]


def test_a_crash_leaves_events_unfinished_and_the_next_start_says_so(path):
    store(path, *Sounds().lifecycle(1, 1, 2), Sounds().event("opened", 2, 5.0))
    with StoreReader(path) as reader:
        before = reader.last_seq()
    store(path, Sounds(run="0c0c0c0c").started(60.0))
    with StoreReader(path) as reader:
        assert [event.state for event in reader.events()] == ["closed", "unfinished"]
        assert [event.number for event in reader.changes(before)] == [2]
    store(path)
    with StoreReader(path) as reader:  # the third start has nothing to see to
        assert reader.last_seq() == before + 1


def test_seconds_listened_are_counted_by_the_hour_whatever_records_are_left_out(path):
    sounds = Sounds()  # from noon on
    reports = [
        sounds.status(at, heard=at - 100, lost=100) for at in range(600, 7200, 600)
    ]
    store(path, sounds.started(), *reports[2::3], sounds.stopped(7300, 7200, 100))
    with StoreReader(path) as reader:
        hours = reader.listened()
        assert [(h.hour - T0, h.source) for h in hours] == [
            (0, "kitchen"),
            (3600, "kitchen"),
            (7200, "kitchen"),
        ]
        assert sum(h.heard for h in hours) == pytest.approx(7200)
        assert sum(h.lost for h in hours) == pytest.approx(100)
        assert hours[0].heard + hours[0].lost == pytest.approx(3600)
        assert hours[2].heard == pytest.approx(100)
        part = reader.listened(Choice(since=T0 + 5400, until=T0 + 7200))
        assert [h.heard for h in part] == [pytest.approx(1800)]


def test_a_second_run_of_a_source_counts_again(path):
    for run in ("0a0a0a0a", "0b0b0b0b"):
        sounds = Sounds(run=run)
        store(path, sounds.started(), sounds.status(60), sounds.stopped(70, 70))
    with StoreReader(path) as reader:
        assert [h.heard for h in reader.listened()] == [pytest.approx(140)]


def test_events_are_counted_per_hour_and_label(path):
    sounds = Sounds()
    times = [("Dog", 10.0), ("Dog", 3599.0), ("Dog", 3601.0), ("Cat", 20.0)]
    lifecycles = [
        sounds.lifecycle(n, t, t + 0.5, name) for n, (name, t) in enumerate(times, 1)
    ]
    gone = sounds.event("withdrawn", 9, 30.0, 31.0, "Dog")
    store(path, *chain(*lifecycles), gone)
    with StoreReader(path) as reader:
        found = [(c.hour - T0, c.label, c.n_events) for c in reader.counts()]
    assert found == [(0, "Cat", 1), (0, "Dog", 2), (3600, "Dog", 1)]


def test_gaps_notices_runs_and_clips_are_kept(path):
    sounds = Sounds()
    closed, update = sounds.event("closed", 1, 1.0, 2.0)
    store(
        path,
        sounds.started(),
        sounds.gap(4.0, 9.5, "no data"),
        sounds.notice(9.5, "back \udcff again"),
        (closed, update),
        (closed | {"clip": "/clips/dog.flac"}, update),
        (closed, update),
        sounds.stopped(60, 54.5, 5.5),
    )
    with StoreReader(path) as reader:
        (gap,) = reader.gaps()
        assert (gap.start - T0, gap.stop - T0, gap.reason) == (4.0, 9.5, "no data")
        assert [event.clip for event in reader.events()] == ["/clips/dog.flac"]
    with closing(sqlite3.connect(path)) as connection:
        run = connection.execute("SELECT started, stopped, model FROM run").fetchall()
        assert run == [(T0, T0 + 60, "tiny")]
        (text,) = connection.execute("SELECT text FROM notice").fetchone()
        assert text == "back ? again"


def test_records_that_are_none_are_counted_and_the_rest_is_kept(path):
    sounds = Sounds()
    sink = StoreSink(path)
    record, update = sounds.event("closed", 1, 1.0, 2.0)
    for broken in (
        {k: v for k, v in record.items() if k != "time"},
        record | {"time": "2026-11-26T12:00:00"},
        record | {"score": None},
        {"state": "closed"},
    ):
        sink.on_record(broken, update)
    send(sink, (record, update))
    assert sink.writer.wait_until_written(30)
    sink.close()
    assert sink.failures()["lost"] == 4
    with StoreReader(path) as reader:
        assert len(list(reader.events())) == 1


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_store_of_every_version_becomes_one_of_today(path, version):
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        migrate(old, path, MIGRATIONS[:version])
        assert old.execute("PRAGMA user_version").fetchone() == (version,)
    store(path, *Sounds().lifecycle(1, 1, 2))
    with StoreReader(path) as reader:
        assert len(list(reader.events())) == 1


def test_a_migration_that_fails_leaves_the_version_before_it(path):
    steps = (
        *MIGRATIONS,
        "ALTER TABLE event ADD COLUMN note TEXT; CREATE TABLE event (x);",
    )
    store(path, *Sounds().lifecycle(1, 1, 2))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, path, steps)
        assert not connection.in_transaction
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        assert version == len(MIGRATIONS)
        columns = connection.execute("PRAGMA table_info(event)").fetchall()
        assert "note" not in [column[1] for column in columns]
    more = (*MIGRATIONS, "ALTER TABLE event ADD COLUMN note TEXT;")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, more)
        assert connection.execute("SELECT label, note FROM event").fetchall() == [
            ("Dog", None)
        ]
    with pytest.raises(ValueError, match=r"written by a newer streamsed"):
        StoreSink(path)
    with pytest.raises(ValueError, match=r"written by a newer streamsed"):
        StoreReader(path)


def test_files_that_are_no_stores_are_refused_and_not_changed(path, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_bytes(b"my notes, and not a database\n" * 100)
    other = tmp_path / "music.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE album (name)")
        connection.commit()
    for wrong in (text, other):
        before = wrong.read_bytes()
        for reads_or_writes in (StoreReader, StoreSink):
            with pytest.raises(ValueError, match="not a store of streamsed"):
                reads_or_writes(wrong)
        assert wrong.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="no such file"):
        StoreReader(path)
    assert not path.exists()


def test_a_store_is_written_by_one_and_only_its_owner_may_read_it(path):
    first = StoreSink(path)
    with pytest.raises(BlockingIOError, match="another streamsed is writing"):
        StoreSink(path)
    assert path.stat().st_mode & 0o077 == 0
    first.close()
    StoreSink(path).close()


def test_a_store_in_a_folder_that_its_reader_may_not_write_is_read(path, monkeypatch):
    """A backup, say, or a disc; a test that runs as root may write everywhere."""
    store(path, *Sounds().lifecycle(1, 1.0, 2.0))
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = sorted(path.parent.iterdir())
    with StoreReader(path) as reader:
        assert len(list(reader.events())) == 1
        assert sorted(path.parent.iterdir()) == before


def test_old_hours_go_with_what_was_listened_in_them(path):
    sounds = Sounds()
    days = [sounds.lifecycle(n, 86400.0 * n, 86400.0 * n + 1) for n in range(1, 11)]
    heard = [sounds.status(86400.0 * n + 60) for n in range(1, 11)]
    store(path, sounds.started(), *chain(*days), *heard, sounds.gap(100.0, 200.0))
    with closing(open_to_write(path)) as connection:
        Retention(days=3).apply(connection, T0 + 10 * 86400 + 3600)
    with StoreReader(path) as reader:
        left = [(event.onset - T0) / 86400 for event in reader.events()]
        assert left == [8, 9, 10]
        assert min(h.hour for h in reader.listened()) >= T0 + 7 * 86400
        assert reader.gaps() == []


def test_an_hour_goes_as_a_whole(path):
    sounds, hour = Sounds(), 3600.0
    ends = [hour - 60, hour + 60, 2 * hour - 60]
    lifecycles = [sounds.lifecycle(n, at, at + 1) for n, at in enumerate(ends, start=1)]
    heard = [sounds.status(hour, heard=hour), sounds.status(2 * hour - 1)]
    store(path, sounds.started(), *chain(*lifecycles), *heard)
    with closing(open_to_write(path)) as connection:
        Retention(days=1).apply(connection, T0 + 86400 + 1.5 * hour)
    with StoreReader(path) as reader:
        assert [event.number for event in reader.events()] == [2, 3]
        assert [h.heard for h in reader.listened()] == [pytest.approx(hour - 1)]


def test_a_store_that_is_too_large_forgets_its_oldest_and_shrinks(path):
    sounds = Sounds()
    lifecycles = [
        sounds.event("closed", n, 60.0 * n, 60.0 * n + 1) for n in range(1, 20000)
    ]
    store(path, *lifecycles)
    size = path.stat().st_size
    with closing(open_to_write(path)) as connection:
        Retention(max_bytes=size // 2).apply(connection, T0 + 60 * 20000)
    assert path.stat().st_size <= size // 2
    with StoreReader(path) as reader:
        left = [event.number for event in reader.events()]
        assert left == list(range(left[0], 20000))
        assert 5000 < len(left) < 12000


def test_a_store_that_can_never_be_small_enough_keeps_the_newest_hour(path):
    store(
        path, *Sounds().lifecycle(1, 10.0, 11.0), *Sounds().lifecycle(2, 4000.0, 4001.0)
    )
    with closing(open_to_write(path)) as connection:
        Retention(max_bytes=1).apply(connection, T0 + 4100)
    with StoreReader(path) as reader:
        assert [event.number for event in reader.events()] == [2]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET label = x'ff00'",
        "UPDATE event SET score = 'high'",
        "UPDATE event SET offset = 9e999",
        "UPDATE listened SET heard = 'long'",
        "UPDATE listened SET lost = 9e999",
        "UPDATE source SET name = x'ff'",
    ],
)
def test_a_store_with_values_of_another_kind_is_refused_in_one_line(path, change):
    kitchen = Sounds("kitchen")
    events = kitchen.lifecycle(1, 3.0, 4.0)
    store(path, kitchen.started(), *events, kitchen.status(30, heard=30, lost=0))
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(change).rowcount
    with StoreReader(path) as reader:
        with pytest.raises(ValueError, match=r"home\.db: damaged, or not") as caught:
            _ = list(reader.events()), reader.listened(), reader.sources()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT * FROM event, event AS b",
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
    ],
)
def test_a_store_that_computes_something_is_none_of_ours(path, statement):
    store(path, *Sounds("kitchen").lifecycle(1, 3.0, 4.0))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    for opened in (StoreReader, open_to_write):
        with pytest.raises(ValueError, match="not a store of streamsed"):
            opened(path)
