"""Log-mel frames on the training device: a torch version of the runtime's front-end.

The core makes the features of everything that is measured or shipped. Where a GPU trains,
the processor's cores are busy mixing, so the same frames are computed there; a test holds
them to the core's within 1e-3 dB.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsed.config import FrontendConfig
from train.mel_scale import band_edges


def mel_filterbank(config: FrontendConfig) -> NDArray[np.float64]:
    """Make triangular mel filters of equal area, (1 + n_fft // 2, n_mels).

    Parameters
    ----------
    config : FrontendConfig
        Sampling frequency, `n_fft`, bands and edges.
    """
    edges = band_edges(config.fmin, config.fmax, config.n_mels)
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
