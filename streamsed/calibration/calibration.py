"""What was learnt of a room: for each label its threshold, what it avoids and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamsed.calibration.choice import choose_levels, expected_rate
from streamsed.calibration.event_counts import EventCounts
from streamsed.calibration.threshold_levels import ThresholdLevels
from streamsed.inference.thresholds.recall_curves import RecallCurves, nearest_curves


@dataclass(frozen=True, slots=True)
class CalibratedLabel:
    """One label, before and after.

    Parameters
    ----------
    label : str
        Of the model.
    own, threshold : float, float or None
        The model's onset threshold, and the room's; None where none was high enough.
    own_events, events : float
        Events an hour with either.
    own_recall, recall : float or None
        The share of its events that is found with either; None if that is not known.
    """

    label: str
    own: float
    threshold: float | None
    own_events: float
    events: float
    own_recall: float | None
    recall: float | None

    @property
    def changed(self) -> bool:
        """Whether the room needs another threshold than the model has."""
        return self.threshold != self.own


@dataclass(frozen=True, slots=True)
class Calibration:
    """All labels of a room.

    Parameters
    ----------
    labels : tuple of CalibratedLabel
        In the model's order.
    seconds : float
        How long was listened.
    max_false : float
        Events an hour that were allowed, of all labels together.
    expected : float or None
        Events an hour on minutes that thresholds were not chosen on; None if there were
        too few of them.
    """

    labels: tuple[CalibratedLabel, ...]
    seconds: float
    max_false: float
    expected: float | None

    @classmethod
    def of(
        cls,
        levels: ThresholdLevels,
        counts: EventCounts,
        *,
        max_false: float,
        settle: float,
    ) -> Calibration:
        """Choose each label's threshold.

        Parameters
        ----------
        levels : ThresholdLevels
            Those that were tried.
        counts : EventCounts
            Their events.
        max_false : float
            Events an hour that are allowed, of all labels together.
        settle : float
            Seconds after which the scores were final, which selects the curves.
        """
        hours = counts.seconds / 3600
        total = counts.total()
        chosen = choose_levels(total, max_false * hours)
        curves = nearest_curves(levels.info.recall_curves, settle=settle)
        labels = []
        for label, thresholds, events, level in zip(
            levels.labels, levels.thresholds, total, chosen, strict=True
        ):
            own, off = thresholds[0], level == len(thresholds)
            threshold = None if off else thresholds[level]
            labels.append(
                CalibratedLabel(
                    label=label,
                    own=own,
                    threshold=threshold,
                    own_events=int(events[0]) / hours,
                    events=0.0 if off else int(events[level]) / hours,
                    own_recall=_recall(curves, label, own),
                    recall=_recall(curves, label, threshold),
                )
            )
        expected = expected_rate(counts, max_false)
        return cls(tuple(labels), counts.seconds, max_false, expected)

    @property
    def off(self) -> list[CalibratedLabel]:
        """The labels for which no threshold was high enough."""
        return [each for each in self.labels if each.threshold is None]

    def sentences(self) -> Iterator[str]:
        """Say what came of it, for people."""
        before = sum(each.own_events for each in self.labels)
        after = sum(each.events for each in self.labels)
        yield (
            f"{self.seconds / 60:.1f} minutes: {before:.1f} events an hour with the "
            f"model's thresholds, {after:.1f} with these (--max-false {self.max_false:g})"
        )
        if self.expected is None:
            yield "too short to check the thresholds on minutes that they were not chosen on"
        else:
            yield (
                "chosen on every other minute and counted on the rest: "
                f"{self.expected:.1f} events an hour"
            )
        for each in self.off:
            yield (
                f"{each.label} had more events at every threshold, so it is ignored; "
                f"if they were real, repeat with --keep {each.label!r}"
            )
        if all(each.own_recall is None for each in self.labels):
            yield "the model file has no recall curves, so what this costs is unknown"


def _recall(
    curves: RecallCurves | None, label: str, threshold: float | None
) -> float | None:
    """Return the share that is found; nothing is of a label that is ignored."""
    if threshold is None:
        return 0.0
    return None if curves is None else curves.recall_at(label, threshold)


def percent(share: float | None) -> str:
    """Write a share for people."""
    return "unknown" if share is None else f"{100 * share:.0f} %"


def before_and_after(before: str, after: str) -> str:
    """Write two values, or the one that they are.

    Examples
    --------
    >>> before_and_after("0.50", "0.70"), before_and_after("0.50", "0.50")
    ('0.50 to 0.70', '0.50')
    """
    return before if before == after else f"{before} to {after}"


def table_rows(
    labels: Sequence[CalibratedLabel],
) -> Iterator[tuple[str, str, str, str]]:
    """Write label, threshold, events an hour and recall, each before and after."""
    for each in labels:
        off = each.threshold is None
        yield (
            each.label,
            before_and_after(
                f"{each.own:.3g}", "ignored" if off else f"{each.threshold:.3g}"
            ),
            before_and_after(f"{each.own_events:.1f}", f"{each.events:.1f}"),
            before_and_after(percent(each.own_recall), percent(each.recall)),
        )
