"""Score a piece of a recording, bit-identical to the scores of the whole.

A long recording is split into pieces that workers process at the same time. Segments are
on a grid of steps from the recording's start, so a piece that starts some steps earlier
scores the same segments as the whole::

    whole    [--- segment ---]    [--- segment ---]
                  [--- segment ---]    [--- segment ---]
    piece              |~~~ warm-up ~~~|first ------------------- last|
             the first frames of a warm-up see zeros where there is sound, so the segment
             that begins with them is left out; all later ones are those of the whole

The final score of a frame is then computed from the same segments in the same order, and
the concatenated scores of all pieces equal the scores of the whole. Events are computed
from these (see `streamsed.pipeline.tracker`), so that none is cut where a piece ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamsed.audio.decode import file_chunks
from streamsed.config import FrontendConfig, StreamConfig
from streamsed.inference.model import Model
from streamsed.pipeline.extractor import (
    Progress,
    SegmentExtractor,
    SegmentFeatures,
)
from streamsed.pipeline.stitcher import ScoreFrames, Stitcher
from streamsed.samples import Float32


@dataclass(frozen=True, slots=True)
class RecordingPiece:
    """A part of a recording.

    Parameters
    ----------
    first : int
        Its first score frame.
    last : int or None
        The score frame after it; None is the end of the recording.
    """

    first: int = 0
    last: int | None = None


WHOLE = RecordingPiece()


def cut(
    n_samples: int, duration: float, frontend: FrontendConfig
) -> list[RecordingPiece]:
    """Split a recording into pieces.

    Parameters
    ----------
    n_samples : int
        Length of the recording.
    duration : float
        Seconds per piece; the last one is up to twice as long.
    frontend : FrontendConfig
        Defines the grid of score frames.

    Returns
    -------
    list of RecordingPiece
        In order, from the start to the end.

    Examples
    --------
    >>> [(piece.first, piece.last) for piece in cut(44100 * 61, 20.0, FrontendConfig())]
    [(0, 256), (256, 512), (512, None)]
    """
    length = max(1, round(duration / frontend.score_frame_duration))
    n_pieces = max(1, n_samples // (length * frontend.score_frame_length))
    bounds = [i * length for i in range(n_pieces)]
    return [
        RecordingPiece(*pair) for pair in zip(bounds, [*bounds[1:], None], strict=True)
    ]


class PieceScorer:
    """Score pieces of recordings.

    Parameters
    ----------
    model : Model
        Model to use.
    stream : StreamConfig
        How often to score, and when scores are final.
    """

    def __init__(self, model: Model, stream: StreamConfig) -> None:
        self.model = model
        self._frontend = model.info.frontend
        self._step, _ = stream.in_score_frames(self._frontend)
        self._settle = stream.settle_score_frames(self._frontend)

    def extract(
        self, path: Path, piece: RecordingPiece
    ) -> Iterator[SegmentFeatures | Progress]:
        """Decode a piece with its warm-up and yield the segments that overlap it.

        Parameters
        ----------
        path : Path
            See `streamsed.audio.decode.file_chunks` for the errors of a bad file.
        piece : RecordingPiece
            Not the whole only if `AudioInfo.starts_anywhere`.

        Yields
        ------
        SegmentFeatures or Progress
            On the grid of the whole recording; also beyond the end of the piece, as long
            as items are requested.
        """
        frontend = self._frontend
        start = self._warm_up(piece.first)
        partial = start == 0 and self._settle < frontend.segment_score_frames
        extractor = SegmentExtractor(frontend, step=self._step, partial=partial)
        chunks = file_chunks(
            path,
            sample_rate=frontend.sample_rate,
            start=start * frontend.score_frame_length,
        )
        for each in extractor.run(chunks):
            if isinstance(each, SegmentFeatures):
                spoilt = start > 0 and each.start == 0
                if not spoilt and each.end + start > piece.first:
                    yield each._replace(start=each.start + start, end=each.end + start)
            elif isinstance(each, Progress):
                yield each._replace(
                    n_samples=each.n_samples + start * frontend.score_frame_length,
                    n_score_frames=each.n_score_frames + start,
                )

    def score(
        self, extracted: Iterable[SegmentFeatures | Progress], piece: RecordingPiece
    ) -> Iterator[tuple[Float32, int]]:
        """Score the items of `extract`, up to the end of the piece.

        Parameters
        ----------
        extracted : iterable of SegmentFeatures or Progress
            In order.
        piece : RecordingPiece
            The same piece.

        Yields
        ------
        scores : float32 (n_frames, n_labels)
            Final scores of the next frames of the piece.
        n_samples : int
            Samples of the recording so far; all of them at the end of the last piece.
        """
        n_owed = np.inf if piece.last is None else piece.last - piece.first
        stitcher = Stitcher(
            n_labels=len(self.model.info.labels),
            segment_length=self._frontend.segment_score_frames,
            latency=self._settle,
        )
        n_samples = 0
        for each in extracted:
            if isinstance(each, SegmentFeatures):
                view = ScoreFrames(*self.model.score(each.features))
                final = stitcher.push(
                    view, each.start - piece.first, each.end - piece.first
                ).scores
            elif each.ended:
                n_samples, final = each.n_samples, stitcher.flush().scores
            else:
                n_samples = each.n_samples
                final = stitcher.advance(each.n_score_frames - piece.first).scores
            final = final[: int(min(n_owed, len(final)))]
            n_owed -= len(final)
            yield final, n_samples
            if n_owed == 0:
                return

    def _warm_up(self, first: int) -> int:
        """Return the first score frame of the warm-up, so that `first` has all its segments.

        These are the segments that start after `first - segment`; the one at the start
        of the warm-up is not among them.
        """
        before = first - self._frontend.segment_score_frames
        return max(0, before // self._step * self._step)
