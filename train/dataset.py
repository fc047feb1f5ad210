"""Data sets: what the training loop draws its batches from.

An example is a dict of a normalised segment `x`, its strong target and whether that
target is strong (a weak clip says which labels occur, not when). Features come from the
runtime's own front-end: there is one implementation of them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import Frontend
from train.augment import drop_bands, recolour
from train.mixing.mixer import Mixer
from train.scaling import Scaling

Example = dict[str, Tensor]

TURNOVER = 8000
"""Examples after which every clip gets new variants."""


def log_mel(
    samples: NDArray[np.float32], config: FrontendConfig
) -> NDArray[np.float32]:
    """Compute the dB frames of one clip, cut or padded to one segment.

    Parameters
    ----------
    samples : float32 (n_samples,)
        Mono, at `config.sample_rate`.
    config : FrontendConfig
        The front-end.

    Returns
    -------
    float32 (segment_frames, n_mels)
        Decibels; what lies beyond the end of the clip is digital silence.
    """
    frontend = Frontend(config)
    head = frontend.push(samples)
    frames = np.concatenate([head, frontend.flush()])[: config.segment_frames]
    padding = config.segment_frames - frames.shape[0]
    silence = np.float32(10.0 * np.log10(config.amin))
    return np.pad(frames, ((0, padding), (0, 0)), constant_values=silence)


def score_targets(
    events: list[Event], labels: tuple[str, ...], n_score_frames: int, duration: float
) -> NDArray[np.float32]:
    """Turn events into the strong target: 1 where a label sounds (section 2.2).

    Parameters
    ----------
    events : list of Event
        The truth.
    labels : tuple of str
        Columns of the target.
    n_score_frames : int
        H, rows of the target.
    duration : float
        Seconds of one score frame.

    Returns
    -------
    float32 (n_score_frames, n_labels)
        Zeros and ones. Onsets and offsets are rounded to the nearest frame boundary, so
        that neither leans early nor late; an event has at least one frame.
    """
    target = np.zeros((n_score_frames, len(labels)), np.float32)
    for event in events:
        first = min(round(event.onset / duration), n_score_frames - 1)
        last = max(round(event.offset / duration), first + 1)
        target[first:last, labels.index(event.label)] = 1.0
    return target


class SoundscapeDataset(Dataset[Example]):
    """Endless soundscapes, mixed when they are asked for; example `i` is always the same.

    Parameters
    ----------
    mixer : Mixer
        Draws the soundscapes.
    config : FrontendConfig
        The front-end.
    scaling : Scaling
        From decibels to the network's input.
    seed : int
        With the index, determines the soundscape.
    augment : bool
        Recolour frames and drop bands (see `train.augment`).
    """

    def __init__(
        self,
        mixer: Mixer,
        config: FrontendConfig,
        scaling: Scaling,
        *,
        seed: int,
        augment: bool,
    ) -> None:
        self.mixer = mixer
        self.scaling = scaling
        self.config = config
        self.seed = seed
        self.augment = augment

    def count_events(self, n_soundscapes: int) -> list[int]:
        """Count the events of each label in so many soundscapes (`n_k` of eq. 3)."""
        labels = self.mixer.bank.labels
        counts = dict.fromkeys(labels, 0)
        for index in range(n_soundscapes):
            rng = np.random.default_rng([self.seed, index])
            for event in self.mixer.mix(rng).events:
                counts[event.label] += 1
        return [counts[label] for label in labels]

    def __getitem__(self, index: int) -> Example:
        """Return `x` float32 (1, T, n_mels), `y` float32 (H, K) and `strong` bool."""
        rng = np.random.default_rng([self.seed, index])
        soundscape = self.mixer.mix(rng, generation=index // TURNOVER)
        frames = log_mel(soundscape.samples, self.config)
        if self.augment and rng.random() < 0.5:
            recolour(frames, rng)
        segment = self.scaling(frames)
        if self.augment and rng.random() < 0.3:
            drop_bands(segment, rng)
        target = score_targets(
            soundscape.events,
            self.mixer.bank.labels,
            self.config.segment_score_frames,
            self.config.score_frame_duration,
        )
        return {
            "x": torch.from_numpy(segment)[None],
            "y": torch.from_numpy(target),
            "strong": torch.tensor(data=True),
        }
