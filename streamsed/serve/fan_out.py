"""Pass every record to every output, from any thread.

Several threads score sources and one serves the page. The outputs receive one record at a
time, in the order in which the records of a source are made. None of them blocks: they
queue what they receive.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.sinks.sink import RECORDS_LENGTH, Sink, fault_of
from streamsed.live.wall_clock import rfc_3339_now
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.terminal import counted


class FanOut:
    """Pass records on to outputs, and remove outputs that fail.

    Parameters
    ----------
    sinks : sequence of Sink
        The outputs; closed at the end.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._lock = threading.RLock()
        self.lost: dict[str, str] = {}
        """Outputs that failed for good, with the reason."""
        self._refused: dict[str, tuple[int, str]] = {}  # records, and the last reason
        self._at_end: dict[str, dict[str, Any]] = {}  # failures of closed outputs

    def report(
        self, record: Mapping[str, Any], update: EventUpdate | None = None
    ) -> None:
        """Pass a record to all outputs."""
        with self._lock:
            for sink in list(self._sinks):
                if sink in self._sinks:  # the notice of another may have removed it
                    self._pass_on(sink, partial(sink.on_record, record, update))

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Pass a closed event, with the path of its clip, to the outputs that use clips."""
        with self._lock:
            for sink in list(self._sinks):
                self._pass_on(sink, partial(_pass_clip, sink, record, update))

    def notice(self, text: str, *, source: str = "") -> None:
        """Pass a message for the user to all outputs."""
        record = {"time": rfc_3339_now(), "state": "notice", "text": text}
        self.report({**record, "source": source})

    def report_notices(self) -> None:
        """Report the messages of the outputs, each once."""
        with self._lock:
            notices = [notice for sink in self._sinks for notice in sink.notices()]
            for notice in notices:
                self.notice(notice)

    def failures(self) -> dict[str, Any]:
        """Return the failures so far, by the names of the outputs."""
        with self._lock:
            failing = {sink.name: sink.failures() for sink in self._sinks}
            closed = dict(self._at_end)
            refused = {
                name: {"failed": count, "reason": why}
                for name, (count, why) in self._refused.items()
                if not failing.get(name)
            }
        lost = {name: {"failed": 1, "reason": why} for name, why in self.lost.items()}
        every = closed | failing | refused | lost
        return {name: each for name, each in every.items() if each}

    def replace(self, old: Sequence[Sink], new: Sequence[Sink]) -> None:
        """Replace outputs, and close the old ones."""
        with self._lock:
            self._sinks = [sink for sink in self._sinks if sink not in old] + list(new)
        for sink in old:
            self._finish(sink)

    def exchange(
        self, old: Sink, open_new: Callable[[], Sink], reopen_old: Callable[[], Sink]
    ) -> tuple[Sink, Exception | None]:
        """Close an output, and only then open the one that replaces it.

        Two outputs that write one file, or publish the same sources to one broker, must not
        be open at the same time. Records that are made in between are queued.

        Returns
        -------
        Sink
            The result of `open_new`; if it failed, that of `reopen_old`.
        Exception or None
            The error of `open_new`.

        Raises
        ------
        OSError, ValueError, ModuleNotFoundError
            Both failed; the output is removed.
        """
        held, error = _Held(old.name), None
        self._swap(old, held)
        self._finish(old)
        try:
            try:
                new = open_new()
            except (OSError, ValueError, ModuleNotFoundError) as failure:
                error = failure
                new = reopen_old()
        except BaseException:
            self._swap(held, None)
            raise
        self._swap(held, new)
        return new, error

    def _swap(self, old: Sink, new: Sink | None) -> None:
        """Replace an output, and pass on the records that the old one queued."""
        with self._lock:
            kept = [sink for sink in self._sinks if sink is not old]
            self._sinks = kept if new is None else [*kept, new]
            if new is not None and isinstance(old, _Held):
                for pass_on in old.waiting:
                    pass_on(new)

    def close(self) -> list[str]:
        """Close all outputs in parallel, each within seconds; return their last messages."""
        with self._lock:
            sinks, self._sinks = self._sinks, []
        faults: list[str] = []

        def finish(sink: Sink) -> None:
            faults.extend(_faults_at_end(sink))

        threads = [threading.Thread(target=finish, args=(sink,)) for sink in sinks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._at_end |= {sink.name: sink.failures() for sink in sinks}
        return [notice for sink in sinks for notice in sink.notices()] + faults

    def _pass_on(self, sink: Sink, pass_on: Callable[[], None]) -> None:
        """Pass something on to one output, whose faults concern no source or output."""
        try:
            pass_on()
        except OSError as error:
            self._sinks.remove(sink)
            self.lost[sink.name] = str(error)
            self.notice(f"{sink.name}: failed and was removed: {error}")
        except Exception as error:  # noqa: BLE001 - of its library, or a mistake of ours
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            count = self._refused.get(sink.name, (0, ""))[0] + 1
            self._refused[sink.name] = count, reason
            if count & (count - 1) == 0:  # the first, and whenever their number doubles
                self.notice(
                    f"{sink.name}: {counted(count, 'record')} failed ({reason})"
                )

    def _finish(self, sink: Sink) -> None:
        """Close one output, while the others continue."""
        for fault in _faults_at_end(sink):
            self.notice(fault)


class SourceSink(BaseSink):
    """The sink of one stream: all outputs, with the name of its source.

    Parameters
    ----------
    name : str
        Of the source.
    outputs : FanOut
        The outputs.
    """

    def __init__(self, name: str, outputs: FanOut) -> None:
        self.name = name
        self._outputs = outputs

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Pass a closed event on with the source's name, and its clip if it has one."""
        self._outputs.on_clip({**record, "source": self.name}, update)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Pass a record on with the source's name; its stream names the address."""
        named = {**record, "source": self.name}
        if record["state"] == "started":
            named["address"] = record["source"]
        self._outputs.report(named, update)


class WithoutClips(BaseSink):
    """Pass closed events on at once, to outputs that wait for their clips.

    Parameters
    ----------
    on_closed : callable
        Called with the record and update of each closed event.
    """

    name = "clips"

    def __init__(
        self, on_closed: Callable[[Mapping[str, Any], EventUpdate], None]
    ) -> None:
        self._on_closed = on_closed

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Pass a closed event on."""
        if update is not None and update.state == "closed":
            self._on_closed(record, update)


class _Held(BaseSink):
    """Queue of records for an output that is not open yet.

    Parameters
    ----------
    name : str
        Of the output.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Callable[[Sink], None]] = deque(maxlen=RECORDS_LENGTH)
        """Functions that pass a record or clip on to the output."""

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Keep a record."""
        self.waiting.append(lambda sink: sink.on_record(record, update))

    def on_clip(self, record: Mapping[str, Any], update: EventUpdate) -> None:
        """Keep a closed event with its clip."""
        self.waiting.append(lambda sink: _pass_clip(sink, record, update))


def _pass_clip(sink: Sink, record: Mapping[str, Any], update: EventUpdate) -> None:
    """Pass a closed event with its clip on to an output, if it uses clips."""
    take = getattr(sink, "on_clip", None)
    if take is not None:
        take(record, update)


def _faults_at_end(sink: Sink) -> list[str]:
    """Settle and close an output; return a message for each that failed."""
    faults = [fault_of(step) for step in (sink.settle, sink.close)]
    return [f"{sink.name}: not closed properly: {fault}" for fault in faults if fault]
