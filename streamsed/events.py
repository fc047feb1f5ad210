"""The unit of output: one sound event.

Everything upstream counts in integer samples and frames; seconds appear here, once, when
an event is built (`Event.from_samples`), so an onset is as exact after a day of streaming
as in the first minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One detected sound: its label, and when it started and ended.

    Events sort by onset, then offset, then label.

    Parameters
    ----------
    label : str
        One of the model's labels.
    onset : float
        Seconds from the start of the recording to the start of the sound.
    offset : float
        Seconds from the start of the recording to the end of the sound, > `onset`.
    score : float
        Mean of the model's scores over the event, in [0, 1].

    Examples
    --------
    >>> Event.from_samples("Dog", 44100, 66150, score=0.9, sample_rate=44100)
    Event(label='Dog', onset=1.0, offset=1.5, score=0.9)
    >>> Event("Cat", 0.2, 0.9, 0.8) < Event("Alarm_bell_ringing", 0.5, 0.6, 0.9)
    True
    """

    label: str
    onset: float
    offset: float
    score: float

    @classmethod
    def from_samples(
        cls, label: str, onset: int, offset: int, *, score: float, sample_rate: int
    ) -> Event:
        """Build an event from integer sample positions (`sample_rate` in Hz)."""
        return cls(label, onset / sample_rate, offset / sample_rate, score)

    @property
    def duration(self) -> float:
        """Seconds from onset to offset."""
        return self.offset - self.onset

    def to_dict(self) -> dict[str, Any]:
        """Return the four fields as a dict."""
        return {
            "label": self.label,
            "onset": self.onset,
            "offset": self.offset,
            "score": self.score,
        }

    def __lt__(self, other: Event) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (self.onset, self.offset, self.label) < (
            other.onset,
            other.offset,
            other.label,
        )
