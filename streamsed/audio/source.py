"""Where live sound comes from, piece by piece.

A source is asked again and again with `read`, and answers at once: a list of what came
since, empty if nothing did, None after the end. Every sample of the source's time line is
in exactly one piece: heard, or missing. Missing samples are zeros of the exact number, so
that times stay true, and say why they are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Piece:
    """Some successive samples of a source.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at the rate that was asked for; zeros where they are missing.
    missing : str
        Why they are missing, or "" for sound that was heard.
    peak : float
        Largest size of a sample as it was captured, before mixing and resampling.
    """

    samples: NDArray[np.float32]
    missing: str = ""
    peak: float = 0.0


class Source(Protocol):
    """What `Listener` listens to."""

    name: str
    """For people."""
    capture_rate: int
    """Hz, before resampling."""
    lossless: bool
    """Whether the source waits when nobody reads."""

    def read(self) -> list[Piece] | None:
        """Return what came since the last call, or None after the end."""

    def wait(self, n_samples: int, timeout: float) -> None:
        """Return once so many more samples can be read, or anything else is new.

        Parameters
        ----------
        n_samples : int
            At the rate that was asked for.
        timeout : float
            Seconds after which to return in any case.
        """

    def notices(self) -> list[str]:
        """Return sentences about the source that people should read, each once."""

    def close(self) -> None:
        """Let go of the device or file."""


def join_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbours that were heard, or are missing for the same reason."""
    joined = []
    for reason, alike in groupby(pieces, key=lambda piece: piece.missing):
        same = list(alike)
        samples = np.concatenate([piece.samples for piece in same])
        joined.append(Piece(samples, reason, max(piece.peak for piece in same)))
    return joined
