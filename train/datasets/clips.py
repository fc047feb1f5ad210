"""Recorded clips as a data set: features from disk, targets from the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from streamsed.audio.decode import audio_info
from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.annotations.desed import Subset, Truth
from train.datasets.clip_features import Example, score_targets
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.feature_cache import Features
from train.datasets.scaling import Scaling


class ClipDataset(Dataset[Example]):
    """The clips of one list of which there are features, in the order of the list.

    Parameters
    ----------
    subset : Subset
        The list.
    features : Features
        Of its clips; those without are left out.
    labels : tuple of str
        Columns of the targets.
    config : FrontendConfig
        The front-end of the features.
    scaling : Scaling
        From decibels to the network's input.
    names : sequence of str, optional
        Only these clips of them; all if left out.
    rounding : {"nearest", "down"}
        Of the targets, see `train.datasets.clip_features.score_targets`.

    Raises
    ------
    ValueError
        The list names a label that is not among `labels`.
    """

    def __init__(
        self,
        subset: Subset,
        features: Features,
        labels: tuple[str, ...],
        config: FrontendConfig,
        scaling: Scaling,
        *,
        names: Sequence[str] | None = None,
        rounding: str = "nearest",
    ) -> None:
        unknown = sorted(subset.count_labels().keys() - set(labels))
        if unknown:
            raise ValueError(
                f"labels {', '.join(labels)} lack those of {subset.name}: "
                f"{', '.join(unknown)}"
            )
        self.subset = subset
        self.features = features
        self.labels = labels
        self.config = config
        self.scaling = scaling
        self.rounding = rounding
        asked = features.rows if names is None else set(names) & features.rows.keys()
        self.names = [name for name in subset.truth if name in asked]

    def __len__(self) -> int:
        return len(self.names)

    def count_labels(self) -> list[int]:
        """Count what each label has here, events or weak clips (`n_k` of eq. 3)."""
        counts = self.subset.count_labels(self.names)
        return [counts[label] for label in self.labels]

    def __getitem__(self, index: int) -> Example:
        """Return one clip.

        Returns
        -------
        dict
            `x` float32 (1, T, n_mels) scaled; `y` float32 (H, K), of a weak clip its
            labels at every frame, of an unlabelled one zeros; `strong` and `labelled`
            bool.
        """
        name = self.names[index]
        truth = self.subset.truth[name]
        frames = self.features.read(name)
        target = score_targets(
            _events(truth, self.config),
            self.labels,
            self.config.segment_score_frames,
            self.config.score_frame_duration,
            rounding=self.rounding,
        )
        return {
            "x": torch.from_numpy(self.scaling(frames))[None],
            "y": torch.from_numpy(target),
            "strong": torch.tensor(isinstance(truth, list)),
            "labelled": torch.tensor(truth is not None),
        }


def _events(truth: Truth, config: FrontendConfig) -> list[Event]:
    """Return what is known of the segment that a clip is cut to.

    Events end with it at the latest; a weak label is active all the time.
    """
    whole = config.segment_duration
    if isinstance(truth, list):
        return [
            replace(event, offset=min(event.offset, whole))
            for event in truth
            if event.onset < whole
        ]
    return [Event(label, 0.0, whole, 1.0) for label in truth or ()]


def evaluation_set(clips: ClipDataset) -> EvaluationSet:
    """Hold all clips of a strong list in memory, with their names, events and lengths.

    Of a clip longer than a segment, its beginning is measured, with the events in it.
    """
    segments = np.stack([clips[index]["x"][0].numpy() for index in range(len(clips))])
    truths = (clips.subset.truth[name] for name in clips.names)
    reference = [_events(truth, clips.config) for truth in truths]
    n_samples = (
        _n_samples(clips.subset.paths[name], clips.config) for name in clips.names
    )
    return EvaluationSet(
        segments, reference, clips.labels, tuple(clips.names), tuple(n_samples)
    )


def _n_samples(path: Path, config: FrontendConfig) -> int:
    """Count the samples of a clip at the front-end's rate, at most those of a segment."""
    whole = config.segment_frames * config.hop_length
    n_samples = round(audio_info(path).duration * config.sample_rate)
    return min(n_samples, whole) if n_samples else whole  # 0: the header does not say
