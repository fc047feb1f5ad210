"""How a source is doing, for the page, for machines and for messages."""

from __future__ import annotations

from dataclasses import dataclass

STATES = ("starting", "running", "waiting", "broken", "quiet", "ended", "stopped")
"""What a source may be: `waiting` until the next attempt, `broken` where attempts are of no
use (a wrong password) and are made seldom, `quiet` in its quiet hours, `ended` as a
recording does."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source at one moment.

    Parameters
    ----------
    name : str
        Its identity.
    state : str
        One of `STATES`.
    address : str
        Where its sound comes from, without credentials.
    reason : str
        Why it is `waiting` or `broken`, or "".
    level : float
        dBFS of the last second, from -120 (digital silence).
    listened, lost : float
        Seconds with and without sound since the program began.
    since_audio : float
        Seconds since sound last came; infinite if none ever did.
    n_skipped : int
        Segments that were not scored, to keep up.
    n_reconnects : int
        Times that it was opened again.
    queued : float
        Seconds of sound that wait to be scored.
    armed : bool
        Whether its events are sent as messages.
    """

    name: str
    state: str
    address: str
    reason: str = ""
    level: float = -120.0
    listened: float = 0.0
    lost: float = 0.0
    since_audio: float = float("inf")
    n_skipped: int = 0
    n_reconnects: int = 0
    queued: float = 0.0
    armed: bool = True
