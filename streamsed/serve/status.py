"""States of sources, for the page, metrics and messages."""

from __future__ import annotations

from dataclasses import dataclass

STATES = ("starting", "running", "waiting", "broken", "quiet", "ended", "stopped")
"""States of a source: `waiting` until the next attempt, `broken` if attempts are unlikely to
help (a wrong password) and are made rarely, `quiet` in its quiet hours, `ended` at the end
of a recording."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The state of a source at one moment.

    Parameters
    ----------
    name : str
        Name of the source.
    state : str
        One of `STATES`.
    address : str
        Address or device, without credentials.
    reason : str
        Why it is `waiting` or `broken`, or "".
    level : float
        dBFS of the last second, from -120 (digital silence).
    listened, lost : float
        Seconds with and without sound since the program began.
    since_audio : float
        Seconds since sound was last received; infinite if none was.
    n_skipped : int
        Segments that were not scored, to keep up.
    n_reconnects : int
        Number of times that it was reopened.
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
