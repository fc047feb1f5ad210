"""Prometheus metrics at `/metrics`: few names, one prefix, base units.

Events are counted here, from their records; the state of the sources is read from the
service at every request. Levels are in dBFS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.page.health import is_flowing
from streamsed.serve.status import SourceStatus

SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DELAYS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Seconds."""


class ServeMetrics(BaseSink):
    """Count events and collect the states of the sources: a sink for `/metrics`.

    Parameters
    ----------
    sources : callable
        Returns the state of each source.
    build : mapping of str
        Version, model and engine.
    failures : callable or None
        Returns the failures, by the name of the output.
    load : callable or None
        Returns the share of time that detection takes.
    """

    name = "metrics"

    def __init__(
        self,
        sources: Callable[[], Sequence[SourceStatus]],
        *,
        build: Mapping[str, str],
        failures: Callable[[], Mapping[str, Mapping[str, Any]]] | None = None,
        load: Callable[[], float] | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a timestamp for each series
        self._registry = CollectorRegistry()
        self._began: dict[tuple[str, str, int], str] = {}  # labels of ongoing events
        common: dict[str, Any] = {"namespace": "streamsed", "registry": self._registry}
        self._events = Counter(
            "events", "Events that were settled.", ["source", "label"], **common
        )
        self._active = Gauge(
            "event_active", "Events going on now.", ["source", "label"], **common
        )
        self._withdrawn = Counter(
            "events_withdrawn", "Events that were none after all.", ["source", "label"],
            **common,
        )  # fmt: skip
        self._scores = Histogram(
            "event_score", "Mean score of settled events.", ["label"], buckets=SCORES,
            **common,
        )  # fmt: skip
        self._delays = Histogram(
            "emission_delay_seconds", "From the onset until an event was reported.",
            ["label"], buckets=DELAYS, **common,
        )  # fmt: skip
        Info("build", "What runs.", **common).info(dict(build))
        if load is not None:
            about = "Share of the time that detection takes; at 1 it cannot keep up."
            Gauge("load_ratio", about, **common).set_function(load)
        self._registry.register(_Sources(sources, failures or dict))

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics as text, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:  # noqa: ARG002
        """Count the record of an event."""
        state = record["state"]
        if state == "stopped":
            self._end_all(record)
        if state not in ("opened", "updated", "ended", "closed", "withdrawn"):
            return
        source, label = str(record["source"]), str(record["label"])
        key = (source, str(record["run"]), int(record["id"]))
        if state == "opened":
            self._delays.labels(label).observe(record["at"] - record["onset"])
        if state == "closed":
            self._events.labels(source, label).inc()
            self._scores.labels(label).observe(record["score"])
        if state == "withdrawn":
            self._withdrawn.labels(source, label).inc()
        goes_on = state in ("opened", "updated") and record["offset"] is None
        if goes_on:
            self._began[key] = label
        else:
            self._began.pop(key, None)
        self._count_active(source, label)

    def _end_all(self, record: Mapping[str, Any]) -> None:
        """Reset the metrics of a run that ended."""
        source, run = record.get("source"), record.get("run")
        for key in [k for k in self._began if k[:2] == (source, run)]:
            self._count_active(key[0], self._began.pop(key))

    def _count_active(self, source: str, label: str) -> None:
        ongoing = (k for k, of in self._began.items() if (k[0], of) == (source, label))
        self._active.labels(source, label).set(sum(1 for _ in ongoing))


class _Sources(Collector):
    """Collect the state of the sources at every request."""

    def __init__(
        self,
        sources: Callable[[], Sequence[SourceStatus]],
        failures: Callable[[], Mapping[str, Mapping[str, Any]]],
    ) -> None:
        self._sources = sources
        self._failures = failures

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        sources = self._sources()
        for name, about, value in _COUNTERS:
            counter = CounterMetricFamily(f"streamsed_{name}", about, labels=["source"])
            for source in sources:
                counter.add_metric([source.name], value(source))
            yield counter
        for name, about, value in _GAUGES:
            gauge = GaugeMetricFamily(f"streamsed_{name}", about, labels=["source"])
            for source in sources:
                if math.isfinite(measured := value(source)):
                    gauge.add_metric([source.name], measured)
            yield gauge
        failed = CounterMetricFamily(
            "streamsed_output_failures", "Writes and messages that failed.",
            labels=["output"],
        )  # fmt: skip
        for output, failure in self._failures().items():
            failed.add_metric([output], float(failure.get("failed", 1)))
        yield failed


_Value = Callable[[SourceStatus], float]
_COUNTERS: tuple[tuple[str, str, _Value], ...] = (
    ("audio_seconds", "Seconds of sound that were taken.", lambda s: s.listened),
    ("audio_lost_seconds", "Seconds of sound that are missing.", lambda s: s.lost),
    ("steps_skipped", "Segments not scored, to keep up.", lambda s: s.n_skipped),
    ("source_reconnects", "Times a source was opened again.", lambda s: s.n_reconnects),
)
_GAUGES: tuple[tuple[str, str, _Value], ...] = (
    ("source_up", "1 while sound comes, or is not meant to.", lambda s: is_flowing(s)),
    ("source_armed", "1 while messages are sent for its events.", lambda s: s.armed),
    ("audio_level_dbfs", "Level of the last second.", lambda s: s.level),
    ("queue_seconds", "Seconds of sound that wait to be scored.", lambda s: s.queued),
)
