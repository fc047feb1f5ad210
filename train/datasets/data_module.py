"""A data set of recorded clips made ready: what is trained on, what is measured on.

The report trains on the synthetic clips, whose events are known, and on the weak clips,
of which only the labels are; the baseline takes the unlabelled ones as well. Both choose
their checkpoints on the validation clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.annotations.desed import Desed
from train.config.train import TrainConfig
from train.datasets.clips import ClipDataset
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.feature_cache import Features, build_features
from train.datasets.interleaved import Interleaved
from train.datasets.scaling import Scaling, fit_scaling

N_FITTED = 200
"""Clips whose decibels a scaling is fitted to."""


@dataclass(frozen=True, slots=True)
class ClipSet:
    """What a run on recorded clips needs.

    Parameters
    ----------
    labels : tuple of str
        What the lists name.
    training : Interleaved
        Strong, weak and perhaps unlabelled clips, as the settings mix them.
    validation : EvaluationSet
        The validation clips.
    scaling : Scaling
        Fitted to the training clips.
    strong_counts, weak_counts : list of int
        Events of each label in the synthetic clips, weak clips that bear it (`n_k`).
    """

    labels: tuple[str, ...]
    training: Interleaved
    validation: EvaluationSet
    scaling: Scaling
    strong_counts: list[int]
    weak_counts: list[int]

    @classmethod
    def load(
        cls, desed: Desed, config: TrainConfig, *, cache: Path, n_processes: int = 1
    ) -> ClipSet:
        """Compute features, or find them in the cache, and put the sets together.

        Parameters
        ----------
        desed : Desed
            The data, or as much of it as is there.
        config : TrainConfig
            Front-end, scaling, batches.
        cache : Path
            Folder for features.
        n_processes : int
            How many compute features.

        Raises
        ------
        ValueError
            There are no synthetic or no validation clips.
        """
        sets = ["synthetic", "weak", "validation"]
        if config.unlabelled:
            sets.append("unlabel_in_domain")
        features = {
            name: build_features(
                cache, name, subset.paths, config.frontend, n_processes=n_processes
            )
            for name, subset in desed.subsets.items()
            if name in sets
        }
        for name in ("synthetic", "validation"):
            if name not in features or not features[name].rows:
                raise ValueError(
                    f"data={desed.folder} must hold {name} clips; "
                    "`python -m train data check` says what is missing"
                )
        scaling = fit_scaling(
            config.scaling,
            _some_frames(features["synthetic"]),
            top_db=config.frontend.top_db,
        )
        labels = desed.labels
        clips = {
            name: ClipDataset(
                desed.subsets[name], each, labels, config.frontend, scaling
            )
            for name, each in features.items()
        }
        labelled = config.batch_size - config.unlabelled
        n_weak = labelled // 2 if "weak" in clips else 0
        parts = [(clips["synthetic"], labelled - n_weak)]
        for name, n in (("weak", n_weak), ("unlabel_in_domain", config.unlabelled)):
            if name in clips:
                parts.append((clips[name], n))
        none = [0] * len(labels)
        return cls(
            labels,
            Interleaved(parts, seed=config.seed),
            _recordings(clips["validation"]),
            scaling,
            clips["synthetic"].count_labels(),
            clips["weak"].count_labels() if "weak" in clips else none,
        )


def _some_frames(features: Features) -> Iterator[NDArray[np.float32]]:
    """Read the decibels of clips spread over a set."""
    names = list(features.rows)
    for name in names[:: max(len(names) // N_FITTED, 1)]:
        yield features.read(name)


def _recordings(clips: ClipDataset) -> EvaluationSet:
    """Hold all clips of a strong list in memory, with their events."""
    segments = np.stack([clips[index]["x"][0].numpy() for index in range(len(clips))])
    truths = (clips.subset.truth[name] for name in clips.names)
    reference = [truth if isinstance(truth, list) else [] for truth in truths]
    return EvaluationSet(segments, reference, clips.labels)
