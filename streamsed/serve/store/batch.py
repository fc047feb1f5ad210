"""Records that wait to be written to a store: merged and written in one transaction.

Only the newest update of an event is kept, and only the newest totals of each run and hour,
so the memory needed while the disk is full grows with the number of events, not of records.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from streamsed.serve.records import clock_of, source_of

HOUR = 3600
"""Seconds; hours are those of UTC."""

STATES = ("opened", "updated", "ended", "closed", "withdrawn")
"""States of the records of events."""

_OF_RUN = ("model", "model_sha256", "version")
_OF_EVENT = ("label", "onset", "offset", "at", "score", "state", "clip")


class RunKey(NamedTuple):
    """A run of a source."""

    source: str
    run: str


class Totals(NamedTuple):
    """Seconds of a run up to a clock time, with and without sound."""

    until: float
    heard: float
    lost: float


class Batch:
    """Records to write in one transaction."""

    def __init__(self) -> None:
        self.runs: dict[RunKey, dict[str, Any]] = {}
        self.events: dict[tuple[RunKey, int], dict[str, Any]] = {}
        self.gaps: dict[tuple[RunKey, float], tuple[float, str]] = {}
        self.totals: dict[RunKey, dict[int, Totals]] = {}  # by hour
        self.notices: list[tuple[float, str, str]] = []

    def __len__(self) -> int:
        """Return the number of events, gaps and notices."""
        return len(self.events) + len(self.gaps) + len(self.notices)

    def __bool__(self) -> bool:
        return bool(len(self) or self.runs)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record; records that are not stored are ignored.

        Raises
        ------
        KeyError, ValueError, TypeError
            It is not a record of this program.
        """
        state, time = record["state"], clock_of(record)
        if state == "notice":
            self.notices.append((time, _text(source_of(record)), _text(record["text"])))
            return
        key = RunKey(_text(record["source"]), _text(record["run"]))
        onset = record.get("onset")
        now = time if onset is None else time + float(record["at"]) - float(onset)
        run = self.runs.setdefault(key, {"started": now})
        run["seen"] = max(now, run.get("seen", now))
        if state == "started":
            run |= {name: _text(record[name]) for name in _OF_RUN if name in record}
            run["settings"] = _text(json.dumps(dict(record), ensure_ascii=False))
        elif state in ("status", "stopped"):
            if state == "stopped":
                run["stopped"] = now
            totals = Totals(now, float(record["heard"]), float(record["lost"]))
            self.totals.setdefault(key, {})[int(now // HOUR)] = totals
        elif state == "gap":
            seconds = float(record["offset"]) - float(record["onset"])
            self.gaps[key, time] = time + seconds, _text(record["reason"])
        elif state in STATES:
            self._add_event(key, record, time)

    def put_before(self, older: Batch) -> None:
        """Insert an older batch that could not be written."""
        for key, run in older.runs.items():
            newer = self.runs.get(key, {})
            self.runs[key] = run | newer | {"started": run["started"]}
        newest = self.events
        self.events = dict(older.events)
        for place, event in newest.items():
            before = self.events.pop(place, {"clip": None})
            self.events[place] = event | {"clip": event["clip"] or before["clip"]}
        self.gaps = older.gaps | self.gaps
        for key, hours in older.totals.items():
            self.totals[key] = hours | self.totals.get(key, {})
        self.notices = older.notices + self.notices

    def drop_oldest(self, most: int) -> int:
        """Keep at most `most` events, gaps and notices; return how many were dropped."""
        n_dropped = 0
        for kept in (self.events, self.gaps):
            while len(kept) > most:
                del kept[next(iter(kept))]  # type: ignore[arg-type]
                n_dropped += 1
        surplus = max(0, len(self.notices) - most)
        del self.notices[:surplus]
        return n_dropped + surplus

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all records, or none.

        Raises
        ------
        sqlite3.Error
            It cannot be written now.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            ids = {key: self._write_run(connection, key) for key in self._keys()}
            self._write_events(connection, ids)
            connection.executemany(
                "INSERT INTO gap VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, start) "
                "DO UPDATE SET stop = excluded.stop, reason = excluded.reason",
                [(*ids[key], start, *rest) for (key, start), rest in self.gaps.items()],
            )
            for key, hours in self.totals.items():
                _write_totals(connection, *ids[key], hours.values())
            connection.executemany(
                "INSERT INTO notice (time, source, text) VALUES (?, ?, ?)", self.notices
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _add_event(self, key: RunKey, record: Mapping[str, Any], onset: float) -> None:
        at, offset = float(record["onset"]), record["offset"]
        event = self.events.setdefault((key, int(record["id"])), {"clip": None})
        event |= {
            "label": _text(record["label"]),
            "onset": onset,
            "offset": None if offset is None else onset + float(offset) - at,
            "at": at,
            "score": float(record["score"]),
            "state": record["state"],
        }
        if "clip" in record:
            event["clip"] = _text(record["clip"])

    def _keys(self) -> list[RunKey]:
        """Return the runs of all records."""
        found = [*self.runs, *(key for key, _ in self.events)]
        return list(dict.fromkeys([*found, *(key for key, _ in self.gaps)]))

    def _write_run(
        self, connection: sqlite3.Connection, key: RunKey
    ) -> tuple[int, int]:
        """Return the ids of a run and its source."""
        source = _source_id(connection, key.source)
        run = self.runs.get(key, {})
        if run:
            values = [run.get(name) for name in ("started", "seen", "stopped")]
            about = [run.get(name) for name in (*_OF_RUN, "settings")]
            connection.execute(
                "INSERT INTO run (source, key, started, seen, stopped, model, "
                "model_sha256, version, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (source, key) DO UPDATE SET "
                "seen = max(seen, excluded.seen), "
                "stopped = coalesce(excluded.stopped, stopped)",
                [source, key.run, *values, *about],
            )
        found = connection.execute(
            "SELECT id FROM run WHERE source = ? AND key = ?", [source, key.run]
        ).fetchone()
        return int(found[0]), source

    def _write_events(
        self,
        connection: sqlite3.Connection,
        ids: Mapping[RunKey, tuple[int, int]],
    ) -> None:
        seq = int(connection.execute("SELECT seq FROM counter").fetchone()[0])
        rows = []
        for (key, number), event in self.events.items():
            seq += 1
            values = [event[name] for name in _OF_EVENT]
            rows.append([*ids[key], number, *values, seq])
        connection.executemany(
            "INSERT INTO event (run, source, number, label, onset, offset, at, score, "
            "state, clip, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (run, number) DO UPDATE SET onset = excluded.onset, "
            "offset = excluded.offset, at = excluded.at, score = excluded.score, "
            "state = excluded.state, clip = coalesce(excluded.clip, clip), "
            "seq = excluded.seq",
            rows,
        )
        connection.execute("UPDATE counter SET seq = ?", [seq])


def _write_totals(
    connection: sqlite3.Connection, run: int, source: int, totals: Iterable[Totals]
) -> None:
    """Add the difference to the last written totals to the hours."""
    heard, lost = connection.execute(
        "SELECT heard, lost FROM run WHERE id = ?", [run]
    ).fetchone()
    for each in totals:
        new = max(0.0, each.heard - heard), max(0.0, each.lost - lost)
        for hour, part in _hours(each.until - sum(new), each.until):
            connection.execute(
                "INSERT INTO listened VALUES (?, ?, ?, ?) ON CONFLICT (hour, source) "
                "DO UPDATE SET heard = heard + excluded.heard, lost = lost + excluded.lost",
                [hour, source, new[0] * part, new[1] * part],
            )
        heard, lost = max(heard, each.heard), max(lost, each.lost)
    connection.execute(
        "UPDATE run SET heard = ?, lost = ? WHERE id = ?", [heard, lost, run]
    )


def _hours(start: float, stop: float) -> Iterator[tuple[int, float]]:
    """Yield the hours of a span of time, and the part of the span in each.

    Examples
    --------
    >>> list(_hours(3000.0, 4200.0))
    [(0, 0.5), (3600, 0.5)]
    """
    begin = start
    while begin < stop:
        hour = int(begin // HOUR) * HOUR
        end = min(stop, hour + HOUR)
        yield hour, (end - begin) / (stop - start)
        begin = end


def _source_id(connection: sqlite3.Connection, name: str) -> int:
    connection.execute("INSERT OR IGNORE INTO source (name) VALUES (?)", [name])
    found = connection.execute("SELECT id FROM source WHERE name = ?", [name])
    return int(found.fetchone()[0])


def _text(value: Any) -> str:
    """Return text that SQLite can store: without surrogates."""
    return str(value).encode(errors="replace").decode()
