"""YAMNet's features of a segment: what two million clips of AudioSet taught.

::

    levels (B, 1, T, n_mels)
        bands    amplitudes of YAMNet's 64 mel bands, logarithm     -> (1, T, 64)
        layers   a convolution and 12 depthwise separable ones      -> (1024, T / 16, 2)
        mean over frequency                                         -> (1024, T / 16, 1)

A few thousand recordings teach a network the sounds of these recordings; which sounds of the
world are like them it cannot know. YAMNet's weights are never trained here, so that they keep
what they know of sounds that no bank has.

References
----------
M. Plakal and D. Ellis, "YAMNet", 2019: a MobileNet (Howard et al., 2017, arXiv:1704.04861) on
AudioSet (Gemmeke et al., 2017). Its last block and its 521 classes are left out, and the last
stride over time is 1 rather than 2, so that there are features every 0.16 s. `scripts.yamnet`
says where the weights are from.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from streamsed.config import FrontendConfig
from train.config.network import YAMNET_BAND
from train.mel_scale import band_edges, htk_mel

WEIGHTS = Path(__file__).with_name("yamnet.npz")
"""`weight0`, `bias0`, `weight1`, ... of the convolutions, 16-bit floats, batch norms folded."""
N_FEATURES = 1024
SEPARABLE = (
    *((32, 64, (1, 1)), (64, 128, (2, 2)), (128, 128, (1, 1))),
    *((128, 256, (2, 2)), (256, 256, (1, 1)), (256, 512, (2, 2))),
    *((512, 512, (1, 1)),) * 5,
    (512, 1024, (1, 2)),
)
"""Channels in and out, and strides over time and frequency, of the separable convolutions."""

N_BANDS = 64
"""YAMNet's mel bands."""
SAMPLE_RATE, N_FFT, WINDOW = 16000, 512, 400
"""YAMNet's: Hz, samples and samples."""
OFFSET = 1e-3
"""Added to an amplitude before its logarithm is taken."""
LOUDEST = 30.0
"""dB that a segment's maximum is taken for: that of a loud recording in this front-end."""


def band_weights(config: FrontendConfig) -> NDArray[np.float32]:
    """Weigh a front-end's bands in YAMNet's: how much of each amplitude is in which.

    Between the centres of the front-end's bands the amplitude is taken to change linearly.

    Parameters
    ----------
    config : FrontendConfig
        Bands of power, as densities.

    Returns
    -------
    float32 (n_mels, 64)
        To be multiplied with amplitudes whose level is relative to `LOUDEST` dB.
    """
    centres = band_edges(config.fmin, config.fmax, config.n_mels)[1:-1]
    frequencies = np.arange(round(YAMNET_BAND[1]) + 1.0)
    bands = np.eye(config.n_mels)
    mixed = np.stack([np.interp(frequencies, centres, band) for band in bands])
    lowest, highest = htk_mel(np.array(YAMNET_BAND))
    edges = np.linspace(lowest, highest, N_BANDS + 2)
    mel = htk_mel(frequencies)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre))
    summed = mixed @ triangles.clip(min=0.0) / (SAMPLE_RATE / N_FFT)
    # From the mean power of a band here to the power of a bin there: of white noise it is
    # proportional to the window's energy, of Hann 3 / 8 of its length, and to the rate.
    bins = config.sample_rate / config.n_fft
    power = bins * WINDOW * SAMPLE_RATE / (config.win_length * config.sample_rate)
    rayleigh = math.sqrt(math.pi) / 2.0  # noise's mean amplitude, from its mean power
    gain = rayleigh * 10.0 ** (LOUDEST / 20.0) * math.sqrt(power)
    weights: NDArray[np.float32] = (summed * gain).astype(np.float32)
    return weights


class YamNet(nn.Module):
    """Features of relative levels, with weights that are not trained.

    Parameters
    ----------
    config : FrontendConfig
        Made the levels; of YAMNet's own are windows of 25 ms every 10 ms.

    Raises
    ------
    ValueError
        The file of the weights is missing or damaged.

    Examples
    --------
    >>> features = YamNet(FrontendConfig())(torch.zeros(1, 1, 1024, 128))
    >>> tuple(features.shape)
    (1, 1024, 64, 1)
    """

    bands: Tensor

    def __init__(self, config: FrontendConfig) -> None:
        super().__init__()
        self._decay = config.top_db * math.log(10.0) / 20.0
        bands = torch.from_numpy(band_weights(config))
        self.register_buffer("bands", bands, persistent=False)
        layers: list[nn.Module] = [_convolution(1, 32, 3, (2, 2))]
        for n_in, n_out, stride in SEPARABLE:
            layers.append(_convolution(n_in, n_in, 3, stride, groups=n_in))
            layers.append(_convolution(n_in, n_out, 1, (1, 1)))
        self.layers = nn.ModuleList(layers)
        self._read()

    def _read(self) -> None:
        """Take the weights from their file, for good."""
        try:
            with np.load(io.BytesIO(WEIGHTS.read_bytes())) as file:
                stored = {name: file[name].astype(np.float32) for name in file.files}
        except (OSError, EOFError, ValueError, BadZipFile) as error:
            raise ValueError(
                f"{WEIGHTS}: YAMNet's weights are missing or damaged; make them by "
                "`python -m scripts.yamnet`"
            ) from error
        for i, layer in enumerate(self.layers):
            for name in ("weight", "bias"):
                values = torch.from_numpy(stored[f"{name}{i}"])
                setattr(layer, name, nn.Parameter(values, requires_grad=False))

    def forward(self, level: Tensor) -> Tensor:
        """Map relative levels (B, 1, T, n_mels) to features (B, 1024, T / 16, 1)."""
        amplitudes = torch.exp((level - 1.0) * self._decay)
        maps = torch.log(amplitudes @ self.bands + OFFSET)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            if 2 in layer.stride:  # as in TensorFlow, the one zero is after the maps
                time, frequency = layer.stride
                maps = functional.pad(maps, (0, frequency - 1, 0, time - 1))
            maps = functional.relu(layer(maps))
        return maps.mean(dim=3, keepdim=True)


def _convolution(
    n_in: int, n_out: int, size: int, stride: tuple[int, int], *, groups: int = 1
) -> nn.Conv2d:
    time, frequency = (size // 2 if each == 1 else 0 for each in stride)
    return nn.Conv2d(n_in, n_out, size, stride, (time, frequency), groups=groups)
