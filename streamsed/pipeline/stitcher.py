"""Combine the scores of overlapping segments into one final score per frame.

Every segment that contains a score frame scores it. Near its edges a segment lacks context
on one side, so its scores (its *view* of the frame) are weighted by the distance to the
nearer edge of its real frames (a triangular window, in integers). The final score is the
weighted mean of the views that exist when the frame becomes `latency` old::

    view of segment 0    1 2 3 4 4 3 2 1
    view of segment 1            1 2 3 4 4 3 2 1
                                 ^ weights 4 and 1: mostly segment 0

Age is counted in score frames of the recording, not in calls: however the recording is cut
into chunks, the final score of a frame is computed from the same views in the same order,
so it is identical to the last bit. At the edges of a recording there is only one view,
whose weight cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsed.exclusive import InUse, exclusive
from streamsed.samples import Float32


@dataclass(frozen=True, slots=True)
class ScoreFrames:
    """Consecutive score frames; its length is their number.

    Parameters
    ----------
    scores : float32 (n_frames, n_labels)
        In [0, 1].
    region : float32 (n_frames,)
        The self-mask's probability that there is any event, in [0, 1].
    """

    scores: Float32
    region: Float32

    def __len__(self) -> int:
        return len(self.region)

    @classmethod
    def joined(cls, parts: Sequence[ScoreFrames]) -> ScoreFrames:
        """Concatenate one or more parts."""
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.region for part in parts]),
        )


class Stitcher:
    """Combine the scores of overlapping segments into final scores.

    Parameters
    ----------
    n_labels : int
        Scores per frame.
    segment_length : int
        Score frames in a segment.
    latency : int
        Score frames; a frame is final once the recording is this far past its start.

    Examples
    --------
    >>> stitcher = Stitcher(n_labels=1, segment_length=4, latency=4)
    >>> ones, zeros = (
    ...     ScoreFrames(np.full((4, 1), score, np.float32), np.zeros(4, np.float32))
    ...     for score in (1, 0)
    ... )
    >>> stitcher.push(ones, 0, 4).scores.ravel().tolist()  # frame 0 is now 4 old
    [1.0]
    >>> stitcher.push(zeros, 2, 6).scores.ravel().tolist()  # frame 1 became final before this view
    [1.0, 0.6666666865348816]
    >>> stitcher.flush().scores.ravel().tolist()
    [0.3333333432674408, 0.0, 0.0]
    """

    def __init__(self, *, n_labels: int, segment_length: int, latency: int) -> None:
        if not 1 <= latency <= segment_length:
            raise ValueError(
                f"latency={latency} must be from 1 to {segment_length} score frames"
            )
        self._in_use = InUse("Stitcher")
        self._segment_length = segment_length
        self._latency = latency
        # A frame waits for at most `latency`, so these are all that a segment extends over.
        self._scores = np.zeros((segment_length, n_labels))  # sums of views
        self._region = np.zeros(segment_length)
        self._weights = np.zeros(segment_length)
        self.reset()

    @staticmethod
    def weigh(position: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Weight frames of a view by the distance to its nearer edge, int64 (n_frames,).

        Parameters
        ----------
        position : int64 (n_frames,)
            Frames of the view, from 0.
        length : int
            Number of its frames that are not padding.
        """
        weights: NDArray[np.int64] = np.minimum(position + 1, length - position)
        return weights

    @property
    def latency(self) -> int:
        """Score frames from a frame's start until its score is final."""
        return self._latency

    @property
    def n_seen(self) -> int:
        """Score frames of the recording up to the end of the latest view."""
        return self._end

    @exclusive
    def reset(self) -> None:
        """Return to the initial state."""
        for sums in (self._scores, self._region, self._weights):
            sums[:] = 0
        self._flushed = False
        self.n_final = 0  # frames returned so far; row 0 of the sums is the next one
        self._end = 0  # end of the latest view

    @exclusive
    def push(self, view: ScoreFrames, start: int, end: int) -> ScoreFrames:
        """Add the view of one segment; return the frames that it makes final.

        Parameters
        ----------
        view : ScoreFrames of segment_length
            The model's scores; frames after `end - start` are padding.
        start, end : int
            Score frames of the recording that the view covers; `end` is also the length
            of the recording so far, and never decreases.

        Returns
        -------
        ScoreFrames
            The next frames of the recording, final.

        Raises
        ------
        RuntimeError
            After `flush`, until `reset` is called.
        """
        if self._flushed:
            raise RuntimeError("push after flush: call reset to start a new recording")
        before = self.advance(end - 1)  # final before this view existed
        length = end - start
        skipped = max(0, self.n_final - start)  # frames that are already final
        position = np.arange(skipped, length)
        weights = self.weigh(position, length)
        first = start + skipped - self.n_final
        rows = slice(first, first + length - skipped)
        scores, region = view.scores[skipped:length], view.region[skipped:length]
        self._scores[rows] += weights[:, None] * scores.astype(np.float64)
        self._region[rows] += weights * region.astype(np.float64)
        self._weights[rows] += weights
        self._end = max(self._end, end)
        after = self.advance(end)
        return ScoreFrames.joined([before, after]) if len(before) else after

    @exclusive
    def advance(self, n_score_frames: int) -> ScoreFrames:
        """Return the frames that are final at this length of the recording."""
        due = n_score_frames - self._latency + 1
        return self._take(max(0, min(due, self._end) - self.n_final))

    @exclusive
    def pending(self) -> ScoreFrames:
        """Return the current scores of the frames that are not final."""
        return self._mean(self._end - self.n_final)

    @exclusive
    def flush(self) -> ScoreFrames:
        """End the recording; return all remaining frames, which are now final."""
        self._flushed = True
        return self._take(self._end - self.n_final)

    def _mean(self, n_frames: int) -> ScoreFrames:
        weights = np.maximum(self._weights[:n_frames], 1)  # frames without a view are 0
        return ScoreFrames(
            (self._scores[:n_frames] / weights[:, None]).astype(np.float32),
            (self._region[:n_frames] / weights).astype(np.float32),
        )

    def _take(self, n_frames: int) -> ScoreFrames:
        taken = self._mean(n_frames)
        if n_frames:
            for sums in (self._scores, self._region, self._weights):
                sums[:-n_frames] = sums[n_frames:]
                sums[-n_frames:] = 0
            self.n_final += n_frames
        return taken
