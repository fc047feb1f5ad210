"""Records as `streamsed serve` gives them to its outputs, without any sound."""

from datetime import UTC, datetime, timedelta

from streamsed.events import Event
from streamsed.pipeline.lifecycle import EventUpdate

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def clock(seconds):
    return (NOON + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


class Sounds:
    """One run of one source: its records, on a time line that begins at noon."""

    def __init__(self, source="kitchen", run="0a0a0a0a"):
        self.about = {"source": source, "run": run}

    def record(self, state, at, **more):
        return {"at": at, "time": clock(at), **self.about, "state": state, **more}

    def event(self, state, number, onset, offset=None, label="Dog", at=None, **more):
        """A record and its update, as a sink takes them."""
        end = onset + 1 if offset is None else offset
        ongoing = offset is None
        update = EventUpdate(state, number, Event(label, onset, end, 0.75), ongoing)
        record = self.record(state, end if at is None else at) | update.to_dict()
        return record | {"time": clock(onset)} | more, update

    def started(self, at=0.0):
        about = {"model": "tiny", "model_sha256": "ab" * 32, "step": 1.0}
        return self.record("started", at, **about), None

    def stopped(self, at, heard, lost=0.0):
        return self.record("stopped", at, heard=heard, lost=lost, events={}), None

    def status(
        self, at, heard=None, lost=0.0, status="running", level=-40.0, armed=True
    ):
        about = {"heard": at if heard is None else heard, "lost": lost, "skipped": 0}
        record = self.record("status", at, status=status, level=level, armed=armed)
        return record | about, None

    def gap(self, onset, offset, reason="the network lost it"):
        record = self.record("gap", offset, onset=onset, offset=offset, reason=reason)
        return record | {"time": clock(onset)}, None

    def notice(self, at, text):
        return self.record("notice", at, text=text), None

    def lifecycle(self, number, onset, offset, label="Dog"):
        """All records of one event that closes."""
        return [
            self.event("opened", number, onset, label=label),
            self.event("ended", number, onset, offset, label=label),
            self.event("closed", number, onset, offset, label=label, at=offset + 5),
        ]


def send(sink, *records):
    for record, update in records:
        sink.on_record(record, update)
