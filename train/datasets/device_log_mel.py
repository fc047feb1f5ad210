"""Log-mel frames on the training device: a torch version of the runtime's front-end.

The core makes the features of everything that is measured or shipped. Where a GPU trains,
the processor's cores are busy mixing, so the same frames are computed there; a test holds
them to the core's within 1e-3 dB.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsed.config import FrontendConfig

LINEAR = 1000.0
"""Hz up to which Slaney's mel scale is linear; above it is logarithmic."""
HZ_PER_MEL = 200.0 / 3.0
LOG_STEP = math.log(6.4) / 27.0
"""Of a mel, in the logarithmic part."""


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert Slaney mels to Hz."""
    knee = LINEAR / HZ_PER_MEL
    above = LINEAR * np.exp(LOG_STEP * (mel - knee))
    return np.where(mel < knee, HZ_PER_MEL * mel, above)


def hz_to_mel(frequency: float) -> float:
    """Convert Hz to Slaney mels.

    Examples
    --------
    >>> round(hz_to_mel(500.0), 6), round(hz_to_mel(6400.0), 6)
    (7.5, 42.0)
    """
    if frequency < LINEAR:
        return frequency / HZ_PER_MEL
    return LINEAR / HZ_PER_MEL + math.log(frequency / LINEAR) / LOG_STEP


def mel_filterbank(config: FrontendConfig) -> NDArray[np.float64]:
    """Make triangular mel filters of equal area, (1 + n_fft // 2, n_mels).

    Parameters
    ----------
    config : FrontendConfig
        Sampling frequency, `n_fft`, bands and edges.
    """
    mels = np.linspace(
        hz_to_mel(config.fmin), hz_to_mel(config.fmax), config.n_mels + 2
    )
    edges = mel_to_hz(mels)
    bins = np.arange(1 + config.n_fft // 2) * (config.sample_rate / config.n_fft)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (high - low))


class DeviceLogMel:
    """Compute the decibel frames of whole recordings (`streamsed.pipeline.frontend`).

    Parameters
    ----------
    config : FrontendConfig
        The front-end.
    device : torch.device
        Where to compute.
    """

    def __init__(self, config: FrontendConfig, device: torch.device) -> None:
        self._config = config
        self._window = torch.hann_window(config.win_length, device=device)
        filters = mel_filterbank(config).astype(np.float32)
        self._filters = torch.from_numpy(filters).to(device)

    def __call__(self, samples: Tensor) -> Tensor:
        """Compute frames.

        Parameters
        ----------
        samples : float32 (B, n_samples)
            Mono.

        Returns
        -------
        float32 (B, 1 + n_samples // hop_length, n_mels)
            Decibels, never below those of `amin`.
        """
        config = self._config
        spectrum = torch.stft(
            samples,
            config.n_fft,
            config.hop_length,
            config.win_length,
            self._window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        mel = power.transpose(1, 2) @ self._filters
        return 10.0 * torch.log10(mel.clamp(min=config.amin))
