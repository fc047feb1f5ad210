"""Samples to log-mel frames, and segments of frames to the network's input.

Training uses the same two functions, each the only implementation in the project:

- `Frontend` turns samples into decibel mel frames on the recording's own grid: frame `i`
  is centred on sample `i * hop_length`, whatever the sizes of the chunks.
- `normalize` is the report's triple normalisation of one segment (eq. 1), and
  `relative_levels` the scaling of the shipped model; `scale_segment` chooses.

References
----------
Kiyokawa et al., "Sound event detection with ResNet and self-mask module for DCASE 2019
task 4", section 2.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsed import _core
from streamsed.config import FrontendConfig
from streamsed.samples import MAX_AMPLITUDE


class Frontend:
    """Turn samples into log-mel frames, each computed once (section 2.1).

    Decibels are `10 * log10(max(power, amin))` of the mel spectrogram with librosa's
    defaults (Slaney); clipping relative to the maximum is done per segment, see
    `normalize`.

    Parameters
    ----------
    config : FrontendConfig
        Sampling frequency, window, hop and mel bands.

    Examples
    --------
    >>> frontend = Frontend()
    >>> frames = frontend.push(np.zeros(44100, dtype=np.float32))
    >>> frames.shape, frontend.flush().shape
    ((100, 128), (3, 128))
    """

    def __init__(self, config: FrontendConfig | None = None) -> None:
        self.config = config or FrontendConfig()
        self._log_mel = _core.LogMel(
            sample_rate=self.config.sample_rate,
            n_fft=self.config.n_fft,
            win_length=self.config.win_length,
            hop_length=self.config.hop_length,
            n_mels=self.config.n_mels,
            fmin=self.config.fmin,
            fmax=self.config.fmax,
            amin=self.config.amin,
        )

    @property
    def latency(self) -> int:
        """Samples after a frame's centre that must arrive before the frame is returned."""
        return self._log_mel.latency

    @property
    def n_samples(self) -> int:
        """Samples pushed since the start or the last `reset`."""
        return self._log_mel.n_samples

    def push(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples and return the frames that they complete.

        Parameters
        ----------
        chunk : float32 (n_samples,)
            Mono samples, full scale 1; any length, 0 included.

        Returns
        -------
        float32 (n_frames, n_mels)
            Decibels; `n_frames` may be 0.

        Raises
        ------
        TypeError
            `chunk` is not float32.
        ValueError
            `chunk` is not one-dimensional, or has a sample that is NaN, infinite or too
            large to be audio.
        RuntimeError
            After `flush`, until `reset` is called; or another thread is using this
            object.
        """
        if chunk.size:
            peak = max(float(chunk.max()), -float(chunk.min()))
            if not peak <= MAX_AMPLITUDE:  # true for NaN as well
                raise ValueError(
                    f"samples up to {peak} must be finite and at most "
                    f"{MAX_AMPLITUDE:g} in absolute value (full scale is 1)"
                )
        return self._log_mel.push(chunk)

    def flush(self) -> NDArray[np.float32]:
        """End the recording, as if zeros followed; return the remaining frames.

        Returns
        -------
        float32 (n_frames, n_mels)
            Decibels; in total there are `1 + n_samples // hop_length` frames.
        """
        return self._log_mel.flush()

    def reset(self) -> None:
        """Return to the initial state."""
        self._log_mel.reset()


def normalize(
    frames: NDArray[np.float32], *, top_db: float = FrontendConfig().top_db
) -> NDArray[np.float32]:
    """Scale a segment to [0, 1] by the report's triple normalisation (eq. 1).

    Values are clipped to the segment's maximum minus `top_db`; the result is the product
    of three min-max scalings: of each frame over the mel bands, of each band over time,
    and of the whole segment. Where the range is zero, the result is 0.

    Parameters
    ----------
    frames : float32 (n_frames, n_mels)
        Decibels.
    top_db : float
        dB.

    Returns
    -------
    float32 (n_frames, n_mels)
        In [0, 1].

    Raises
    ------
    TypeError
        `frames` are not float32.
    ValueError
        `frames` are not two-dimensional or not finite, or `top_db` is not positive.

    Examples
    --------
    >>> x = normalize(np.array([[-60, -20], [-60, -40]], dtype=np.float32))
    >>> x.tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return _core.triple_norm(frames, top_db)


def relative_levels(
    frames: NDArray[np.float32], *, top_db: float = FrontendConfig().top_db
) -> NDArray[np.float32]:
    """Scale a segment to [0, 1] linearly in decibels, relative to its maximum.

    1 is the segment's maximum, 0 is `top_db` or more below it. A sound 20 dB below another
    stays 20 dB below it, whereas `normalize` scales it down three times. A segment with
    zero range, such as digital silence, becomes 0.

    Parameters
    ----------
    frames : float32 (n_frames, n_mels)
        Decibels.
    top_db : float
        dB.

    Returns
    -------
    float32 (n_frames, n_mels)
        In [0, 1].

    Raises
    ------
    ValueError
        `frames` are not finite, or `top_db` is not positive.

    Examples
    --------
    >>> relative_levels(np.array([[-60, -20], [-120, -40]], np.float32)).tolist()
    [[0.5, 1.0], [0.0, 0.75]]
    """
    if not top_db > 0:  # true for NaN as well
        raise ValueError(f"top_db={top_db} must be positive")
    if frames.size == 0:
        return frames.copy()
    highest, lowest = frames.max(), frames.min()
    if not np.isfinite(highest - lowest):
        raise ValueError("frames must be finite")
    if highest == lowest:
        return np.zeros_like(frames)
    scaled: NDArray[np.float32] = frames - (highest - np.float32(top_db))
    scaled *= np.float32(1.0 / top_db)
    return np.maximum(scaled, np.float32(0.0), out=scaled)


def scale_segment(
    frames: NDArray[np.float32], config: FrontendConfig
) -> NDArray[np.float32]:
    """Scale a segment as its model was trained, by the method `config.scaling`.

    Parameters
    ----------
    frames : float32 (n_frames, n_mels)
        Decibels.
    config : FrontendConfig
        That of the model, `model.info.frontend`.

    Returns
    -------
    float32 (n_frames, n_mels)
        In [0, 1]: `normalize` (eq. 1) for "triple", `relative_levels` for "relative".

    Raises
    ------
    TypeError, ValueError
        As `normalize` or `relative_levels`.

    Examples
    --------
    >>> frames = np.array([[-60, -20], [-120, -40]], np.float32)
    >>> scale_segment(frames, FrontendConfig(scaling="relative")).tolist()
    [[0.5, 1.0], [0.0, 0.75]]
    """
    scale = normalize if config.scaling == "triple" else relative_levels
    return scale(frames, top_db=config.top_db)
