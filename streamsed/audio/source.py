"""The interface of live sources: samples in pieces, with lost samples marked.

`read` is called repeatedly and returns at once: a list of new pieces, empty if there are
none, None after the end. Every sample of the source's time line is in exactly one piece:
recorded, or missing. Missing samples are replaced by the same number of zeros, so that
times stay correct, with the reason why they are missing.
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
    """Consecutive samples of a source.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at the requested rate; zeros where samples are missing.
    missing : str
        Why they are missing, or "" for recorded sound.
    peak : float
        Largest absolute value of the captured samples, before mixing and resampling.
    """

    samples: NDArray[np.float32]
    missing: str = ""
    peak: float = 0.0


class Source(Protocol):
    """A source of live sound for `Listener`."""

    name: str
    """Name for people."""
    capture_rate: int
    """Hz, before resampling."""
    lossless: bool
    """Whether the source waits for the reader, as a file does."""

    def read(self) -> list[Piece] | None:
        """Return the samples since the last call, or None after the end."""

    def wait(self, n_samples: int, timeout: float) -> None:
        """Return once `n_samples` more can be read, or the state of the source changes.

        Parameters
        ----------
        n_samples : int
            At the requested rate.
        timeout : float
            Maximum time to wait, in seconds.
        """

    def notices(self) -> list[str]:
        """Return new messages about the source for the user, each once."""

    def close(self) -> None:
        """Close the device or file."""


def join_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbours that were recorded, or are missing for the same reason."""
    joined = []
    for reason, alike in groupby(pieces, key=lambda piece: piece.missing):
        same = list(alike)
        samples = np.concatenate([piece.samples for piece in same])
        joined.append(Piece(samples, reason, max(piece.peak for piece in same)))
    return joined
