"""Recordings with their truth: what a network is measured on.

Their features are computed once and kept in memory, half a megabyte each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import scale_segment
from streamsed.progress import track
from train.datasets.clip_features import Example, log_mel, score_targets
from train.datasets.scaling import Scaling
from train.mixing.mixer import Layout, Mixer, Soundscape


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Scaled segments and the events of each.

    Parameters
    ----------
    segments : float32 (n, T, n_mels)
        Padded where a recording is shorter.
    reference : list of list of Event
        The truth.
    labels : tuple of str
        What is scored.
    names : tuple of str
        What the recordings are called; empty where they have no names.
    n_samples : tuple of int
        How long each is, past which no event of it may reach; empty where each fills its
        segment.
    """

    segments: NDArray[np.float32]
    reference: list[list[Event]]
    labels: tuple[str, ...]
    names: tuple[str, ...] = ()
    n_samples: tuple[int, ...] = ()

    def lengths(self, config: FrontendConfig) -> list[int]:
        """Return how many samples each recording has."""
        if self.n_samples:
            return list(self.n_samples)
        whole = config.segment_score_frames * config.score_frame_length
        return [whole] * len(self.reference)

    def targets(self, config: FrontendConfig) -> NDArray[np.float32]:
        """Return the truth on the score-frame grid, (n, H, K)."""
        return np.stack(
            [
                score_targets(
                    events,
                    self.labels,
                    config.segment_score_frames,
                    config.score_frame_duration,
                )
                for events in self.reference
            ]
        )

    def joined(self, others: EvaluationSet) -> EvaluationSet:
        """Return these and others of the same labels as one; all have names or none."""
        return EvaluationSet(
            np.concatenate([self.segments, others.segments]),
            self.reference + others.reference,
            self.labels,
            self.names + others.names,
            self.n_samples + others.n_samples,
        )

    def batches(self, config: FrontendConfig, batch_size: int) -> Iterator[Example]:
        """Yield all of it as strongly labelled examples, in order."""
        targets = torch.from_numpy(self.targets(config))
        for first in range(0, len(self.segments), batch_size):
            x = torch.from_numpy(self.segments[first : first + batch_size])[:, None]
            y = targets[first : first + batch_size]
            yield {"x": x, "y": y, "strong": torch.ones(len(y), dtype=torch.bool)}


def gather(
    soundscapes: Iterable[Soundscape],
    labels: tuple[str, ...],
    config: FrontendConfig,
    scaling: Scaling | None = None,
) -> EvaluationSet:
    """Compute the features of soundscapes and keep their events.

    Parameters
    ----------
    soundscapes : iterable of Soundscape
        At least one.
    labels : tuple of str
        What is scored.
    config : FrontendConfig
        The front-end.
    scaling : Scaling, optional
        From decibels to the network's input; that of `config` if left out.

    Raises
    ------
    ValueError
        There is no soundscape.
    """
    scale = scaling or partial(scale_segment, config=config)
    segments, reference = [], []
    for soundscape in soundscapes:
        segments.append(scale(log_mel(soundscape.samples, config)))
        reference.append(soundscape.events)
    if not segments:
        raise ValueError("n_soundscapes=0 must be at least 1")
    return EvaluationSet(np.stack(segments), reference, labels)


def draw_evaluation_set(
    mixer: Mixer,
    config: FrontendConfig,
    *,
    n_soundscapes: int,
    seed: int,
    scaling: Scaling | None = None,
    labels: tuple[str, ...] | None = None,
) -> EvaluationSet:
    """Draw soundscapes: the same ones for equal seeds.

    Parameters
    ----------
    mixer : Mixer
        Where they come from.
    config : FrontendConfig
        The front-end.
    n_soundscapes : int
        At least 1.
    seed : int
        Of the draw.
    scaling : Scaling, optional
        See `gather`.
    labels : tuple of str, optional
        What a network scores, if not the labels of the bank: these must be among them.

    Raises
    ------
    ValueError
        The bank has another sample rate than the front-end or a label that is not among
        `labels`, or there is no soundscape.
    """
    if mixer.bank.sample_rate != config.sample_rate:
        raise ValueError(
            f"sample_rate={config.sample_rate} must be that of the bank, "
            f"{mixer.bank.sample_rate}"
        )
    labels = labels or mixer.bank.labels
    mixer.bank.refuse_other_labels(labels)
    generators = (np.random.default_rng([seed, i]) for i in range(n_soundscapes))
    drawn = track(
        (mixer.mix(rng) for rng in generators),
        "mixing",
        total=n_soundscapes,
        unit="soundscapes",
    )
    return gather(drawn, labels, config, scaling)


def rebuild_evaluation_set(
    mixer: Mixer,
    layouts: Sequence[Layout],
    config: FrontendConfig,
    *,
    seed: int,
    labels: tuple[str, ...] | None = None,
) -> EvaluationSet:
    """Rebuild every clip of a list, in order; the same for equal seeds.

    `labels` are the columns of the targets, if not the labels of the bank in their order.
    """
    rebuilt = (
        mixer.rebuild(layout, np.random.default_rng([seed, i]))
        for i, layout in enumerate(layouts)
    )
    return gather(rebuilt, labels or mixer.bank.labels, config)
