"""Settings of the front-end: log-mel frames, score frames and segments."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from streamsed.config.settings import Settings, is_number, require

MAX_SAMPLE_RATE = 10_000_000
"""Hz; the same limit as in the C++ core."""
MAX_MELS = 4096
"""Mel bands; the same limit as in the C++ core."""
MAX_VALUES = 1 << 24
"""Values in a segment, 64 MB: 128 times the size of the report's segments."""
SEGMENT_SCALINGS = ("triple", "relative")
"""Values of `FrontendConfig.scaling`."""


@dataclass(frozen=True, slots=True)
class FrontendConfig(Settings):
    """How samples become log-mel frames, segments and score frames.

    The defaults are the report's (section 2.1): 2048-sample frames every 431 samples of
    44.1 kHz audio, 128 mel bands, segments of 1024 frames (10 s).

    Parameters
    ----------
    sample_rate : int
        Hz.
    n_fft, win_length : int
        Samples; `n_fft` a power of two, `win_length` at most `n_fft`.
    hop_length : int
        Samples between the centres of successive frames.
    n_mels : int
        Mel bands.
    fmin, fmax : float
        Hz, the edges of the mel filterbank.
    amin : float
        Lower bound of the power, and so of the decibels.
    top_db : float
        dB; values of a segment are clipped to its maximum minus this.
    segment_frames : int
        Frames in one input of the model, a multiple of `subsampling`.
    subsampling : int
        Frames per score frame.
    scaling : {"triple", "relative"}
        How the decibels of a segment become the model's input: by the report's triple
        normalisation (eq. 1), or as levels relative to the segment's maximum.

    Raises
    ------
    ValueError
        A setting is out of range.

    Examples
    --------
    >>> frontend = FrontendConfig()
    >>> frontend.segment_score_frames, round(frontend.score_frame_duration, 6)
    (128, 0.078186)
    >>> FrontendConfig.from_dict(frontend.to_dict()) == frontend
    True
    """

    sample_rate: int = 44100
    n_fft: int = 2048
    win_length: int = 2048
    hop_length: int = 431
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float = 22050.0
    amin: float = 1e-10
    top_db: float = 80.0
    segment_frames: int = 1024
    subsampling: int = 8
    scaling: str = "triple"

    def __post_init__(self) -> None:
        """Check every setting."""
        for field in fields(self):
            if field.type == "str":
                continue
            value = getattr(self, field.name)
            whole = field.type == "int"
            require(
                is_number(value) and isinstance(value, int if whole else (int, float)),
                field.name,
                repr(value),
                "be a whole number" if whole else "be a number",
            )
        up_to_n_fft = f"be from 1 to n_fft={self.n_fft}"
        band = f"be above fmin={self.fmin} and at most half of sample_rate={self.sample_rate}"
        multiple = (
            f"be a positive multiple of subsampling={self.subsampling}, and at most "
            f"{MAX_VALUES} / n_mels={self.n_mels}"
        )
        power = self.n_fft > 0 and self.n_fft & (self.n_fft - 1) == 0
        whole = self.subsampling > 0 and self.segment_frames % self.subsampling == 0
        rules = {
            "sample_rate": (
                1 <= self.sample_rate <= MAX_SAMPLE_RATE,
                f"be from 1 to {MAX_SAMPLE_RATE} Hz",
            ),
            "n_fft": (
                power and 64 <= self.n_fft <= 65536,
                "be a power of two from 64 to 65536",
            ),
            "win_length": (0 < self.win_length <= self.n_fft, up_to_n_fft),
            "hop_length": (0 < self.hop_length <= self.n_fft, up_to_n_fft),
            "n_mels": (1 <= self.n_mels <= MAX_MELS, f"be from 1 to {MAX_MELS}"),
            "fmin": (self.fmin >= 0, "be at least 0"),
            "fmax": (self.fmin < self.fmax and 2 * self.fmax <= self.sample_rate, band),
            "amin": (1.2e-38 <= self.amin <= 3.4e38, "be from 1.2e-38 to 3.4e38"),
            "top_db": (0 < self.top_db < math.inf, "be positive"),
            "subsampling": (self.subsampling > 0, "be positive"),
            "scaling": (
                self.scaling in SEGMENT_SCALINGS,
                f"be one of {', '.join(SEGMENT_SCALINGS)}",
            ),
            "segment_frames": (
                whole and 0 < self.segment_frames * self.n_mels <= MAX_VALUES,
                multiple,
            ),
        }
        for name, (holds, rule) in rules.items():
            require(holds, name, getattr(self, name), rule)

    @property
    def segment_score_frames(self) -> int:
        """Score frames in a segment."""
        return self.segment_frames // self.subsampling

    @property
    def score_frame_length(self) -> int:
        """Samples between the starts of successive score frames."""
        return self.subsampling * self.hop_length

    @property
    def score_frame_duration(self) -> float:
        """Seconds between the starts of successive score frames."""
        return self.score_frame_length / self.sample_rate

    @property
    def segment_duration(self) -> float:
        """Seconds of audio in a segment."""
        return self.segment_frames * self.hop_length / self.sample_rate
