"""Variants of a recording that keep its label true: as if it were recorded elsewhere.

Sounds of one label often come from one source and share its bandwidth: a model that
learns "no energy above 8 kHz means cat" is worthless. So every label is recorded through
low-passes, tilted equalisers, rooms and codecs, and at other speeds. `vary` costs
milliseconds, so a mixer keeps a few variants of each clip instead of making one for each
mixture, as `Variants` does for scenes; `train.datasets.augment` changes whole mixtures.
"""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streamsed.samples import Float32
from train.config.scenes import SceneConfig
from train.mixing.soundbank import Clip, active_regions

SPEED = (0.8, 1.25)
LOW_PASS = 0.4
"""Probability of a low-pass between 3 and 14 kHz."""
ROOM = 0.3
"""Probability of reverberation."""
CODEC = 0.1
"""Probability of a lossy codec."""


def vary(samples: Float32, rng: np.random.Generator, sample_rate: int) -> Float32:
    """Return a recording at another speed, through another filter, room and codec.

    Parameters
    ----------
    samples : float32 (n_samples,)
        One recording.
    rng : numpy Generator
        Source of chance; the same state gives the same variant.
    sample_rate : int
        Hz.

    Returns
    -------
    float32 (n_varied,)
        Between 0.8 and 1.25 times as fast; tilted by up to 4 dB an octave, at most
        12 dB; in some cases low-passed, reverberated (then longer) or coded.
    """
    speed = float(np.exp(rng.uniform(*np.log(SPEED))))
    varied = soxr.resample(samples, sample_rate * speed, sample_rate, quality="MQ")
    echo = room_response(rng, sample_rate) if rng.random() < ROOM else np.ones(1)
    length = varied.size + echo.size - 1
    # A power of two avoids slow transforms; the zeros also keep the filter from wrapping.
    n_fft = 1 << (length + 1024).bit_length()
    spectrum = np.fft.rfft(varied, n_fft)
    if echo.size > 1:
        spectrum *= np.fft.rfft(echo.astype(np.float32), n_fft)
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate).astype(np.float32)
    octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
    gain = np.clip(rng.uniform(-4.0, 4.0) * octaves, -12.0, 12.0)
    if rng.random() < LOW_PASS:
        cutoff = float(np.exp(rng.uniform(np.log(3000.0), np.log(14000.0))))
        gain -= np.clip(
            60.0 * np.log2(np.maximum(frequencies, 1.0) / cutoff), 0.0, 90.0
        )
    spectrum *= 10.0 ** (gain / 20.0)
    result = cast(Float32, np.fft.irfft(spectrum, n_fft)[:length].astype(np.float32))
    return through_codec(result, rng, sample_rate) if rng.random() < CODEC else result


def room_response(rng: np.random.Generator, sample_rate: int) -> NDArray[np.float64]:
    """Make the impulse response of a room: a direct sound and noise that dies away.

    Reverberation times are 0.15 to 0.6 s, the tail holds -12 to 0 dB of the direct
    sound's energy.
    """
    decay = rng.uniform(0.15, 0.6)  # seconds until 60 dB are lost
    time = np.arange(int(decay * sample_rate)) / sample_rate
    tail = rng.standard_normal(time.size) * 10.0 ** (-3.0 * time / decay)
    tail *= 10.0 ** (rng.uniform(-12.0, 0.0) / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def through_codec(
    samples: Float32, rng: np.random.Generator, sample_rate: int
) -> Float32:
    """Encode with MP3 or Vorbis at a low rate and decode again."""
    container, subtype = [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")][rng.integers(2)]
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-9)
    file = io.BytesIO()
    soundfile.write(
        file,
        samples / (1.25 * peak),  # room for the codec's overshoot
        sample_rate,
        format=container,
        subtype=subtype,
        compression_level=float(rng.uniform(0.6, 0.95)),  # libsndfile fails near 1
    )
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return cast(Float32, decoded * np.float32(1.25 * peak))


class Variants:
    """Draw recordings, unchanged or varied; variants are reused for a while.

    Making a variant takes as long as mixing a scene, so few draws make one, which then
    takes the place of an older one. Draws therefore depend on those before.

    Parameters
    ----------
    config : SceneConfig
        How many are kept, and how many draws make one.
    sample_rate : int
        Hz.
    """

    def __init__(self, config: SceneConfig, sample_rate: int) -> None:
        self._config, self._rate = config, sample_rate
        self._kept: dict[int, list[Clip]] = {}

    def draw(self, rng: np.random.Generator, clip: Clip) -> Clip:
        """Return a clip or a variant of it."""
        kept = self._kept.setdefault(id(clip), [])
        if rng.random() < self._config.fresh:
            samples = vary(clip.samples, rng, self._rate)
            regions = active_regions(samples, self._rate) or clip.regions
            if len(kept) == self._config.n_variants:
                kept.pop(int(rng.integers(len(kept))))
            kept.append(Clip(samples, regions))
            return kept[-1]
        choice = int(rng.integers(len(kept) + 1))
        return clip if choice == len(kept) else kept[choice]
