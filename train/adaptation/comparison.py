"""Before and after: what an adaptation brought, and what it cost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from streamsed.config import PostConfig
from streamsed.events import Event
from train.config.mixing import EVALUATION_MIXING
from train.datasets.evaluation_set import EvaluationSet, draw_evaluation_set
from train.evaluation.draws import Seed
from train.evaluation.scoring import network_scores, scores_to_events
from train.fit.checkpoint import TrainedNetwork
from train.metrics.criteria import event_f1
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank

N_SOUNDSCAPES = 120
"""Soundscapes of ten seconds on which each side is measured: twenty minutes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network with the settings by which its scores become events.

    Parameters
    ----------
    trained : TrainedNetwork
        The network.
    post : PostConfig
        Thresholds of its labels.
    """

    trained: TrainedNetwork
    post: PostConfig

    def events(self, recordings: EvaluationSet) -> list[list[Event]]:
        """Detect in soundscapes."""
        config, labels = self.trained.config.frontend, self.trained.labels
        scores = network_scores(self.trained.network, recordings.segments)
        lengths = recordings.lengths(config)
        return [
            scores_to_events(each, labels, self.post, config, n_samples=n)
            for each, n in zip(scores, lengths, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Row:
    """One label on soundscapes of one bank.

    Parameters
    ----------
    label : str
        Which.
    n_recordings : int
        Of how many recordings the soundscapes are made.
    before, after : float or None
        Event F1 from 0 to 1; None where the network does not know the label.
    """

    label: str
    n_recordings: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides.

    Parameters
    ----------
    own : tuple of Row
        On recordings of the user that were kept apart; empty without any.
    shipped : tuple of Row
        On recordings of a bank, where one was given.
    unchanged : float
        Event F1 of the events of the old labels after adapting, with those before as
        reference: 1 is no change.
    false_new : float or None
        Events an hour of new labels on the bank's soundscapes, where none of them occurs.
    """

    own: tuple[Row, ...]
    shipped: tuple[Row, ...]
    unchanged: float
    false_new: float | None

    def lines(self) -> Iterator[str]:
        """Write a table for people."""
        groups = {
            "your recordings, kept apart": self.own,
            "shipped labels": self.shipped,
        }
        rows = [*self.own, *self.shipped]
        width = max((len(each.label) for each in rows), default=0)
        for title, group in groups.items():
            if not group:
                continue
            yield f"{title}: event F1 before and after (recordings)"
            for each in group:
                yield (
                    f"  {each.label:<{width}}  {_percent(each.before)}  "
                    f"{_percent(each.after)}  ({each.n_recordings})"
                )
            if len(group) > 1 and all(each.before is not None for each in group):
                yield f"  {'macro':<{width}}  {_mean(group, 'before')}  {_mean(group, 'after')}"
        if not self.own:
            yield "no recording was kept apart, so how well they were learnt is not known"
        yield f"events of the shipped labels that stayed as they were: {self.unchanged:.1%}"
        if self.false_new is not None:
            yield f"events of new labels where there are none: {self.false_new:.1f} an hour"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dict that JSON can hold, for the model file."""

        def table(rows: Sequence[Row]) -> Mapping[str, Any]:
            return {
                each.label: {"before": each.before, "after": each.after}
                for each in rows
            }

        return {
            "own_event_f1": table(self.own),
            "shipped_event_f1": table(self.shipped),
            "shipped_events_unchanged": round(self.unchanged, 4),
            "new_labels_false_per_hour": self.false_new,
        }


def compare(
    before: Candidate,
    after: Candidate,
    *,
    held_out: Soundbank,
    taught: Soundbank,
    measured: Soundbank | None = None,
    n: int = N_SOUNDSCAPES,
) -> Comparison:
    """Measure both networks on the same soundscapes.

    Parameters
    ----------
    before, after : Candidate
        The model as it was shipped and as it is now.
    held_out : Soundbank
        The user's recordings that were kept apart.
    taught : Soundbank
        The other recordings, used for `unchanged` if none were kept apart.
    measured : Soundbank, optional
        A bank of shipped labels; its backgrounds named as a new label are left out.
    n : int
        Soundscapes of each side.
    """
    old = before.trained.labels
    own = _side(held_out if held_out.foreground else taught, before, after, n)
    sides = [own]
    shipped: tuple[Row, ...] = ()
    false_new = None
    if measured is not None:
        new = set(after.trained.labels) - set(old)
        theirs = _side(_without(measured, new, old), before, after, n)
        sides.append(theirs)
        shipped = _rows(theirs, before, after)
        found = sum(event.label in new for clip in theirs.after for event in clip)
        hours = n * EVALUATION_MIXING.duration / 3600
        false_new = round(found / hours, 1) if new else None
    rows = _rows(own, before, after) if held_out.foreground else ()
    return Comparison(rows, shipped, _unchanged(sides, old), false_new)


class _Side(NamedTuple):
    """Soundscapes of a bank, and what both networks detect in them."""

    bank: Soundbank
    reference: list[list[Event]]
    before: list[list[Event]]
    after: list[list[Event]]


def _side(bank: Soundbank, before: Candidate, after: Candidate, n: int) -> _Side:
    recordings = _draw(bank, before, n)
    found = (before.events(recordings), after.events(recordings))
    return _Side(bank, recordings.reference, *found)


def _without(
    bank: Soundbank, new: Collection[str], known: Collection[str]
) -> Soundbank:
    """Return a bank of known labels, in whose backgrounds no new label occurs by name."""
    names = {label.casefold() for label in new}
    return replace(
        bank,
        foreground={k: v for k, v in bank.foreground.items() if k in known},
        background={
            kind: clips
            for kind, clips in bank.background.items()
            if kind.casefold() not in names
        },
    )


def _draw(bank: Soundbank, candidate: Candidate, n: int) -> EvaluationSet:
    trained = candidate.trained
    return draw_evaluation_set(
        Mixer(bank, EVALUATION_MIXING),
        trained.config.frontend,
        n_soundscapes=n,
        seed=Seed.MEASURED,
        scaling=trained.scaling,
    )


def _rows(side: _Side, before: Candidate, after: Candidate) -> tuple[Row, ...]:
    f1 = []
    for each, found in ((before, side.before), (after, side.after)):
        labels = [k for k in side.bank.labels if k in each.trained.labels]
        scored = event_f1(_only(side.reference, labels), _only(found, labels), labels)
        f1.append({label: round(scored.per_label[label], 4) for label in labels})
    return tuple(
        Row(label, len(side.bank.foreground[label]), f1[0].get(label), f1[1].get(label))
        for label in side.bank.labels
    )


def _unchanged(sides: Sequence[_Side], labels: Sequence[str]) -> float:
    was = [events for side in sides for events in _only(side.before, labels)]
    now = [events for side in sides for events in _only(side.after, labels)]
    return event_f1(was, now, labels).micro if any(was) or any(now) else 1.0


def _only(clips: Sequence[Sequence[Event]], labels: Sequence[str]) -> list[list[Event]]:
    return [[event for event in clip if event.label in labels] for clip in clips]


def _percent(share: float | None) -> str:
    return "     –" if share is None else f"{share:6.1%}"


def _mean(rows: Sequence[Row], name: str) -> str:
    values = [getattr(each, name) for each in rows]
    known = [value for value in values if value is not None]
    return _percent(sum(known) / len(known) if known else None)
