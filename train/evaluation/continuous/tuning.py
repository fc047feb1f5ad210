"""How scores of continuous recordings best become events, with few choices.

A few hours of recordings that a network was not trained on cannot choose eighty numbers:
per-label searches gain nine points on one set and lose four on the next. So what labels
have in common is chosen together, the shape of events: how far the offset threshold lies
below the onset threshold, which gaps are filled, what is too short, and over how long
scores are smoothed; once for sounds that come and go, once for sounds that last. Only the
onset threshold is a label's own, and of it a broad optimum wins over a high, narrow one.
Events are dated back to half of it, and long ones further to where all scores rise most, all
alike and after it is chosen: chosen together, the thresholds become higher, miss more events
and fit other recordings less (`docs/ablations.md`).

What is best weighs event F1 against what F1 does not see: false alarms on backgrounds and
other sounds, which have a price, and long sounds that fall into pieces; see
`train.evaluation.continuous.counts`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from streamsed.config import PostConfig, StreamConfig
from streamsed.inference.thresholds.operating_points import THRESHOLDS
from train.evaluation.continuous.counts import Counted, Float64, count
from train.evaluation.continuous.recordings import ScoredRecording
from train.evaluation.continuous.replay import final_scores

LONG = 3.0
"""Seconds; labels with a longer median event are labels of long sounds."""
ONSETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.96)
ONSET = THRESHOLDS[0]
RISE = 0.5
"""Rise threshold, as a share of the onset threshold."""
SEARCH = 1.2
"""Seconds by which a long sound's event may be dated back further."""
PRICE = 0.002
"""Event F1 that one false alarm an hour on backgrounds and other sounds costs a label."""


class Shape(NamedTuple):
    """What labels of one group share; seconds but for the ratio of the thresholds."""

    offset_ratio: float
    min_duration: float
    min_gap: float
    smoothing: float
    onset_search: float


PASSING = tuple(
    Shape(*values)
    for values in product((1.0, 0.6, 0.3), (0.2, 0.35), (0.2, 0.4, 0.8), (0.0,), (0.0,))
)
"""Candidates for short sounds."""
LASTING = tuple(
    Shape(*values)
    for values in product(
        (0.5, 0.25), (0.2, 0.35), (0.2, 2.5), (0.0, 0.8, 1.6), (SEARCH,)
    )
)
"""Candidates for long sounds. A median over 2.5 s, and longer shortest durations, would find
a little more, but announce an event up to a second later."""


@dataclass(frozen=True, slots=True)
class Trials:
    """All settings of all labels, counted on some recordings; of two sets they add up.

    Parameters
    ----------
    groups : tuple of tuples of str
        Labels that come and go, and labels that last.
    counted : tuple of dicts
        For each group, what each shape counts at each of `ONSETS`.
    """

    groups: tuple[tuple[str, ...], ...]
    counted: tuple[dict[Shape, list[Counted]], ...]

    @classmethod
    def count(
        cls,
        recordings: Sequence[ScoredRecording],
        stream: StreamConfig,
        lasting: Sequence[str],
    ) -> Trials:
        """Try every setting.

        Parameters
        ----------
        recordings : sequence of ScoredRecording
            Scored by a network that was not trained on their sounds; some with events.
        stream : StreamConfig
            Step and settling of the scores.
        lasting : sequence of str
            Labels of the second group.
        """
        labels = recordings[0].scores.labels
        finals = [final_scores(each.scores, stream) for each in recordings]
        groups = (
            tuple(label for label in labels if label not in lasting),
            tuple(label for label in labels if label in lasting),
        )
        tables = []
        for group, shapes in zip(groups, (PASSING, LASTING), strict=True):
            columns = [labels.index(label) for label in group]
            scores = [np.ascontiguousarray(each[:, columns]) for each in finals]
            tables.append(
                {
                    shape: [
                        count(recordings, scores, group, _post(shape, onset))
                        for onset in ONSETS
                    ]
                    for shape in (shapes if group else ())
                }
            )
        return cls(groups, tuple(tables))

    def __add__(self, other: Trials) -> Trials:
        """Add the counts of other recordings."""
        counted = tuple(
            {
                shape: [a + b for a, b in zip(rows, theirs[shape], strict=True)]
                for shape, rows in ours.items()
            }
            for ours, theirs in zip(self.counted, other.counted, strict=True)
        )
        return Trials(self.groups, counted)

    def choose(
        self, price: float = PRICE, *, above: PostConfig | None = None
    ) -> PostConfig:
        """Choose one shape for each group, and each label's onset threshold.

        Parameters
        ----------
        price : float
            See `PRICE`; a higher one makes for a lower sensitivity.
        above : PostConfig, optional
            Settings chosen at a lower price: their shapes stay, and no threshold becomes
            lower.

        Returns
        -------
        PostConfig
            All settings by label.
        """
        settings: dict[str, dict[str, float]] = {}
        kept = None if above is None else self._by_label(above)
        for group, table in zip(self.groups, self.counted, strict=True):
            if not group:
                continue
            shapes = list(table) if kept is None else [_shape(table, kept[group[0]])]
            lowest = [0.0 if kept is None else kept[k][ONSET] for k in group]
            allowed = np.array(ONSETS)[:, np.newaxis] >= np.array(lowest)
            broad = {
                shape: np.where(allowed, _worth(table[shape], price), -np.inf)
                for shape in shapes
            }
            best = max(broad, key=lambda shape: float(broad[shape].max(axis=0).mean()))
            for label, row in zip(group, broad[best].argmax(axis=0), strict=True):
                settings[label] = _settings(best, ONSETS[row])
        names = (*THRESHOLDS, *Shape._fields[1:])
        return PostConfig(
            **{
                name: {label: each[name] for label, each in sorted(settings.items())}
                for name in names
            }
        )

    def _by_label(self, post: PostConfig) -> dict[str, dict[str, float]]:
        """Return the settings of each label by name."""
        labels = [label for group in self.groups for label in group]
        names = (*THRESHOLDS, *Shape._fields[1:])
        columns = [post.per_label(name, labels) for name in names]
        return {
            label: dict(zip(names, values, strict=True))
            for label, values in zip(labels, zip(*columns, strict=True), strict=True)
        }


def lasting_labels(recordings: Sequence[ScoredRecording]) -> list[str]:
    """List the labels whose events mostly last longer than `LONG`."""
    durations: dict[str, list[float]] = defaultdict(list)
    for each in recordings:
        for event in each.events:
            durations[event.label].append(event.duration)
    return sorted(k for k, values in durations.items() if np.median(values) > LONG)


def tune_continuous(
    recordings: Sequence[ScoredRecording],
    stream: StreamConfig,
    *,
    price: float = PRICE,
) -> PostConfig:
    """Choose thresholds and shapes for a stream's final scores; see `Trials`."""
    return Trials.count(recordings, stream, lasting_labels(recordings)).choose(price)


def _worth(counted: Sequence[Counted], price: float) -> Float64:
    """Return the smoothed objective at each onset threshold, (n_onsets, n_labels)."""
    return _smoothed(np.array([each.objective(price) for each in counted]))


def _smoothed(objective: Float64) -> Float64:
    """Average over neighbouring thresholds, (n_onsets, n_labels): narrow peaks fall."""
    padded = np.pad(objective, ((1, 1), (0, 0)), mode="edge")
    mean: Float64 = 0.25 * padded[:-2] + 0.5 * objective + 0.25 * padded[2:]
    return mean


def _settings(shape: Shape, onset: float) -> dict[str, float]:
    """Return a label's settings by name."""
    return {
        ONSET: onset,
        "rise_threshold": round(onset * RISE, 3),
        "offset_threshold": round(onset * shape.offset_ratio, 3),
        **dict(zip(Shape._fields[1:], shape[1:], strict=True)),
    }


def _shape(shapes: Iterable[Shape], settings: Mapping[str, float]) -> Shape:
    """Return the shape of a label's settings.

    Raises
    ------
    ValueError
        They have another shape.
    """
    for shape in shapes:
        if _settings(shape, settings[ONSET]) == settings:
            return shape
    raise ValueError(f"above must have a shape that is tried, not {dict(settings)}")


def _post(shape: Shape, onset: float) -> PostConfig:
    return PostConfig(
        onset_threshold=onset,
        offset_threshold=onset * shape.offset_ratio,
        min_gap=shape.min_gap,
        min_duration=shape.min_duration,
        smoothing=shape.smoothing,
    )


def false_alarms(
    recordings: Sequence[ScoredRecording], stream: StreamConfig, post: PostConfig
) -> Mapping[str, float]:
    """Count false alarms an hour of each label, on backgrounds and other sounds."""
    labels = recordings[0].scores.labels
    scores = [final_scores(each.scores, stream) for each in recordings]
    counted = count(recordings, scores, labels, post).false_alarms
    return {label: round(float(n), 2) for label, n in zip(labels, counted, strict=True)}
