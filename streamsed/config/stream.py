"""Settings of streaming: how often segments are scored, and when scores are final."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamsed.config.frontend import FrontendConfig
from streamsed.config.settings import MAX_SECONDS, Settings, is_number, require


@dataclass(frozen=True, slots=True)
class StreamConfig(Settings):
    """How often segments are scored, and when events are ended and final.

    The score of a frame is the weighted mean over all segments that contain it and were
    scored before it became `settle` seconds old: settling later gives better boundaries
    and delays only the final record. The end of an event is reported earlier, from the
    scores known so far.

    Parameters
    ----------
    step : float
        Seconds between successive segments.
    latency : float
        Seconds after its end at which an event is reported as ended; at least `step`.
    settle : float or None
        Seconds after which a score, and the events it belongs to, are final; from
        `latency` to one segment. None is `latency`.

    Examples
    --------
    >>> stream = StreamConfig(step=0.5, latency=1.0, settle=10.0)
    >>> stream.in_score_frames(FrontendConfig())
    (6, 13)
    >>> stream.settle_score_frames(FrontendConfig())
    128
    """

    step: float = 5.0
    latency: float = 10.0
    settle: float | None = None

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        for name in ("step", "latency", "settled"):
            value = getattr(self, name)
            name = "settle" if name == "settled" else name
            require(is_number(value), name, repr(value), "be a number (in seconds)")
            if value < math.inf:  # infinity is checked below
                rule = f"be at most {MAX_SECONDS:g} (in seconds)"
                require(value <= MAX_SECONDS, name, value, rule)
        if self.settle is not None:
            rule = "be positive (in seconds)"
            require(not self.settle <= 0, "settle", self.settle, rule)
        require(
            not self.latency <= 0, "latency", self.latency, "be positive (in seconds)"
        )
        require(0 < self.step < math.inf, "step", self.step, "be positive (in seconds)")
        require(
            self.step <= self.latency < math.inf,
            "latency",
            self.latency,
            f"be at least step={self.step} (in seconds)",
        )
        require(
            self.latency <= self.settled < math.inf,
            "settle",
            self.settle,
            f"be at least latency={self.latency} (in seconds)",
        )

    @property
    def settled(self) -> float:
        """Seconds after which a score frame is final: `settle`, or else `latency`."""
        return self.latency if self.settle is None else self.settle

    def in_score_frames(self, frontend: FrontendConfig) -> tuple[int, int]:
        """Return step and latency in whole score frames, at least one each.

        Raises
        ------
        ValueError
            The latency is longer than one segment.
        """
        duration = frontend.score_frame_duration
        step = max(1, round(self.step / duration))
        latency = max(1, round(self.latency / duration))
        require(
            latency <= frontend.segment_score_frames,
            "latency",
            self.latency,
            f"be at most one segment ({frontend.segment_duration:.3g} s)",
        )
        return step, latency

    def check(self, frontend: FrontendConfig) -> None:
        """Raise ValueError if a setting does not fit the segments of `frontend`."""
        self.in_score_frames(frontend)
        self.settle_score_frames(frontend)

    def settle_score_frames(self, frontend: FrontendConfig) -> int:
        """Return after how many whole score frames a score is final, at least one.

        Raises
        ------
        ValueError
            It is longer than one segment.
        """
        frames = max(1, round(self.settled / frontend.score_frame_duration))
        require(
            frames <= frontend.segment_score_frames,
            "settle",
            self.settled,
            f"be at most one segment ({frontend.segment_duration:.3g} s)",
        )
        return frames
