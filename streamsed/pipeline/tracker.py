"""Final scores to events: smooth, search onsets, threshold, connect, cut (section 3).

Scores may be smoothed first, and then carried back to where a sound began (see
`streamsed.pipeline.smoother` and `onset_search`; the report does neither). The state machine
itself is the C++ core's `GapFilter`; this module passes it the model's settings by label, and
converts its runs of score frames into events with times. Score frame `j` covers the samples
from `j * score_frame_length` up to those of the next frame; events never extend past the end
of the recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsed import _core
from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from streamsed.pipeline.onset_search import OnsetSearch
from streamsed.pipeline.smoother import ScoreSmoother


class EventTracker:
    """Turn final scores into closed events, each as soon as possible.

    Parameters
    ----------
    labels : sequence of str
        The columns of the scores.
    config : PostConfig
        Thresholds; smoothing, gaps and durations in seconds.
    frontend : FrontendConfig
        Defines the grid of the score frames.

    Raises
    ------
    ValueError
        `config` names a label that is not one of `labels`.
    """

    def __init__(
        self, labels: Sequence[str], config: PostConfig, frontend: FrontendConfig
    ) -> None:
        self._labels = tuple(labels)
        self._frontend = frontend
        self._min_gaps = self._frames(config.per_label("min_gap", labels))
        windows = np.array(config.per_label("smoothing", labels))
        self._smoother = ScoreSmoother(self._rounded(windows / 2))
        self._search = OnsetSearch(
            self._rounded(np.array(config.per_label("onset_search", labels)))
        )
        self._filter = _core.GapFilter(
            onset_thresholds=_float32(config.per_label("onset_threshold", labels)),
            rise_thresholds=_float32(config.per_label("rise_threshold", labels)),
            offset_thresholds=_float32(config.per_label("offset_threshold", labels)),
            min_gaps=self._min_gaps,
            min_durations=self._frames(config.per_label("min_duration", labels)),
        )

    @property
    def latency(self) -> int:
        """Score frames from the end of an event until its end can be known."""
        owed = self._smoother.latency + self._search.latency
        return max(1, int(self._min_gaps.max())) + owed

    def push(self, scores: NDArray[np.float32]) -> list[Event]:
        """Take the next final scores and return the events that they close.

        Parameters
        ----------
        scores : float32 (n_frames, n_labels)
            In [0, 1].

        Returns
        -------
        list of Event
            In the order in which they closed.
        """
        filtered = self._search.push(self._smoother.push(scores))
        return self._events(self._filter.push(filtered), n_samples=None)

    def provisional(
        self, scores: NDArray[np.float32]
    ) -> tuple[list[Event], list[Event]]:
        """Return the events there would be if `scores` came next; keep the state.

        Parameters
        ----------
        scores : float32 (n_frames, n_labels)
            Current scores of the frames that are not final.

        Returns
        -------
        ended, ongoing : list of Event
            Events that would be closed, and events that are long enough and may continue;
            the offset of the latter is the end of the part detected so far.
        """
        ahead = self._filter.copy()
        ended = ahead.push(self._search.peek(self._smoother.peek(scores)))
        return (
            self._events(ended, n_samples=None),
            self._events(ahead.open_runs(), n_samples=None),
        )

    def flush(self, n_samples: int) -> list[Event]:
        """End the recording of `n_samples` samples; close and return the open events."""
        events = []
        last = [self._search.push(self._smoother.flush()), self._search.flush()]
        if len(owed := np.concatenate(last)):
            events = self._events(self._filter.push(owed), n_samples=n_samples)
        return events + self._events(self._filter.flush(), n_samples=n_samples)

    def reset(self) -> None:
        """Return to the initial state."""
        self._smoother.reset()
        self._search.reset()
        self._filter.reset()

    def _frames(self, seconds: list[float]) -> NDArray[np.int64]:
        """Return counts such that n frames are shorter than the seconds iff n < count.

        For the report's 0.2 s and 78 ms frames: 0.2 / 0.0782 = 2.56, so 3 frames. Rounded,
        because 0.56 s in frames of 0.08 s are 7, and in floating point a little more.
        """
        duration = self._frontend.score_frame_duration
        counts = [math.ceil(round(value / duration, 6)) for value in seconds]
        return np.array(counts, np.int64)

    def _rounded(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the nearest numbers of frames."""
        frames: NDArray[np.int64] = np.rint(
            seconds / self._frontend.score_frame_duration
        ).astype(np.int64)
        return frames

    def _events(self, runs: NDArray[np.void], *, n_samples: int | None) -> list[Event]:
        length = self._frontend.score_frame_length
        events = []
        for label, onset, offset, score in runs.tolist():
            start, stop = onset * length, offset * length
            if n_samples is not None:
                stop = min(stop, n_samples)
            if stop > start:
                events.append(
                    Event.from_samples(
                        self._labels[label],
                        start,
                        stop,
                        score=score,
                        sample_rate=self._frontend.sample_rate,
                    )
                )
        return events


def _float32(values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)
