"""The C++ core: features, normalisation and run tracking. Private; see its wrappers.

Arrays must be C-contiguous and of the type that is annotated; anything else is a
TypeError, never a hidden copy. The GIL is released while an object works, and a second
thread that uses it meanwhile gets a RuntimeError; what never changes it may read.
"""

import numpy as np
from numpy.typing import NDArray

def simd_targets() -> list[str]:
    """Instruction sets this machine runs, slowest first: baseline, avx2, avx512."""

class LogMel:
    """Samples to decibel mel frames, incrementally; see `streamsed.pipeline.frontend`."""

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mels: int,
        fmin: float,
        fmax: float,
        amin: float,
        simd: str = "auto",
    ) -> None: ...
    @property
    def n_mels(self) -> int: ...
    @property
    def latency(self) -> int: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def n_frames(self) -> int: ...
    @property
    def simd(self) -> str: ...
    def push(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def flush(self) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...

def triple_norm(
    frames: NDArray[np.float32], top_db: float, simd: str = "auto"
) -> NDArray[np.float32]:
    """Floor at maximum - top_db, then the product of the three min-max scalings.

    Frames that are not finite are a ValueError.
    """

class GapFilter:
    """Score frames to runs: threshold, connect, cut, per label, incrementally.

    Runs are structured arrays with the fields label (int32), onset and offset (int64,
    score frames, offset exclusive) and score (float32, the mean over the run).
    """

    def __init__(
        self,
        *,
        onset_thresholds: NDArray[np.float32],
        rise_thresholds: NDArray[np.float32],
        offset_thresholds: NDArray[np.float32],
        min_gaps: NDArray[np.int64],
        min_durations: NDArray[np.int64],
    ) -> None: ...
    @property
    def n_labels(self) -> int: ...
    @property
    def n_frames(self) -> int: ...
    def push(self, scores: NDArray[np.float32]) -> NDArray[np.void]: ...
    def flush(self) -> NDArray[np.void]: ...
    def reset(self) -> None: ...
    def open_runs(self) -> NDArray[np.void]:
        """Return the runs not yet closed, cut as if nothing more came."""

    def copy(self) -> GapFilter:
        """Return a filter in the same state that goes its own way from here."""
