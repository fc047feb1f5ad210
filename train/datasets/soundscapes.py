"""Soundscapes as an endless data set, mixed when they are asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from streamsed.config import FrontendConfig
from train.datasets.augment import drop_bands, recolour
from train.datasets.clip_features import Example, log_mel, score_targets
from train.datasets.scaling import Scaling
from train.mixing.mixer import Mixer

TURNOVER = 8000
"""Examples after which every clip gets new variants."""


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
        Recolour frames and drop bands (see `train.datasets.augment`).
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
