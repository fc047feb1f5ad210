"""Prepare a data set of recorded clips for training and evaluation.

The report trains on the synthetic clips, whose events are known, and on the weak clips,
of which only the labels are; the baseline takes the unlabelled ones as well. The report
chooses its checkpoints on the validation clips, the baseline on training clips that it
holds out (`TrainConfig.held_out`).

A run that lacked one of these sets would carry the name of another system, so what is
missing is refused unless it is said beforehand (`without`), and then named.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.annotations.desed import Desed
from train.annotations.desed_version import UsedSubset
from train.config.train import TrainConfig
from train.datasets.clips import ClipDataset, evaluation_set
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.feature_cache import Features, build_features
from train.datasets.held_out import HeldOut, make_held_out, split_names
from train.datasets.interleaved import Interleaved
from train.datasets.scaling import Scaling, fit_scaling, spread_frames

OPTIONAL = ("weak", "unlabel_in_domain")
"""Subsets that a run may leave out."""


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
        Fitted to the clips that are trained on.
    strong_counts, weak_counts : list of int
        Events of each label in the synthetic clips, weak clips that bear it (`n_k`).
    used : tuple of UsedSubset
        What of each list was there.
    public : EvaluationSet or None
        The clips of the public evaluation list, if requested and available.
    held_out : HeldOut or None
        Training clips that are not trained on, where the settings want some.
    """

    labels: tuple[str, ...]
    training: Interleaved
    validation: EvaluationSet
    scaling: Scaling
    strong_counts: list[int]
    weak_counts: list[int]
    used: tuple[UsedSubset, ...] = ()
    public: EvaluationSet | None = None
    held_out: HeldOut | None = None

    @classmethod
    def load(
        cls,
        desed: Desed,
        config: TrainConfig,
        *,
        cache: Path,
        n_processes: int = 1,
        without: Sequence[str] = (),
        public: bool = False,
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
        without : sequence of str
            Subsets of `OPTIONAL` that are not trained on, even if available.
        public : bool
            Load the public evaluation clips too, if there are any.

        Raises
        ------
        ValueError
            A set that the settings need has no clips; the message says where they were
            looked for.
        """
        sets = needed_sets(config, without)
        refuse_missing(desed, sets)
        if public and "public" in desed.subsets and desed.subsets["public"].paths:
            sets.append("public")
        features = _build(desed, sets, config, cache, n_processes)
        trained_on, kept_out = _split(desed, features, config)
        scaling = fit_scaling(
            config.scaling,
            spread_frames((features[name], trained_on[name]) for name in trained_on),
            top_db=config.frontend.top_db,
        )

        def clips(name: str, names: Sequence[str] | None = None) -> ClipDataset:
            return ClipDataset(
                desed.subsets[name],
                features[name],
                desed.labels,
                config.frontend,
                scaling,
                names=names,
                rounding=config.target_rounding,
            )

        training = {name: clips(name, names) for name, names in trained_on.items()}
        held_out = {name: clips(name, names) for name, names in kept_out.items()}
        return cls(
            desed.labels,
            Interleaved(
                [(training[k], n) for k, n in batch_sizes(config, training).items()],
                seed=config.seed,
            ),
            evaluation_set(clips("validation")),
            scaling,
            training["synthetic"].count_labels(),
            _counts(training, "weak", desed.labels),
            tuple(_used(desed, name, features[name]) for name in sets),
            evaluation_set(clips("public")) if "public" in features else None,
            make_held_out(held_out["synthetic"], held_out.get("weak"))
            if held_out
            else None,
        )


TRAINED = ("synthetic", "weak", "unlabel_in_domain")
"""Sets that are trained on, in the order in which a batch holds them."""


def needed_sets(config: TrainConfig, without: Sequence[str]) -> list[str]:
    """List the sets that a run trains on and is validated on.

    Raises
    ------
    ValueError
        `without` names something else than `OPTIONAL`.
    """
    for name in without:
        if name not in OPTIONAL:
            raise ValueError(
                f"--without must be one of {', '.join(OPTIONAL)}, not {name}"
            )
    sets = ["synthetic", "weak"] + ["unlabel_in_domain"] * bool(config.unlabelled)
    return [name for name in sets if name not in without] + ["validation"]


def lacking_sets(config: TrainConfig, without: Sequence[str]) -> list[str]:
    """List the sets that the settings need and a run leaves out.

    Examples
    --------
    >>> lacking_sets(TrainConfig(), ["weak", "unlabel_in_domain"])  # which has none
    ['weak']
    """
    return [name for name in needed_sets(config, []) if name in without]


def batch_sizes(config: TrainConfig, sets: Container[str]) -> dict[str, int]:
    """Return how many clips of each of `TRAINED` a batch holds, in its order.

    Half of the labelled clips are weak. What a run does without is made up for by the
    others, so that a batch has as many clips.

    Parameters
    ----------
    config : TrainConfig
        Sizes of a batch and of its unlabelled part.
    sets : container of str
        The sets that there are; what else it names does not matter.

    Examples
    --------
    >>> batch_sizes(TrainConfig(batch_size=5), ("synthetic", "weak", "validation"))
    {'synthetic': 3, 'weak': 2}
    """
    n_unlabelled = config.unlabelled if "unlabel_in_domain" in sets else 0
    labelled = config.batch_size - n_unlabelled
    n_weak = labelled // 2 if "weak" in sets else 0
    sizes = zip(TRAINED, (labelled - n_weak, n_weak, n_unlabelled), strict=True)
    return {name: n for name, n in sizes if n}


def refuse_missing(desed: Desed, sets: Iterable[str]) -> None:
    """Raise a ValueError if one of the sets has no clips, before any are decoded."""
    for name in sets:
        _refuse(desed, name, desed.explain_absence(name))


def _refuse(desed: Desed, name: str, absence: str | None) -> None:
    if absence is not None:
        way_out = f", or use --without {name}" if name in OPTIONAL else ""
        raise ValueError(
            f"{desed.folder}: no {name} clips ({absence}); get them (see "
            f"`python -m train data check`){way_out}"
        )


def _build(
    desed: Desed,
    sets: Iterable[str],
    config: TrainConfig,
    cache: Path,
    n_processes: int,
) -> dict[str, Features]:
    """Compute the features of sets, none of which may be empty."""
    features = {}
    for name in sets:
        features[name] = build_features(
            cache,
            name,
            desed.subsets[name].paths,
            config.frontend,
            n_processes=n_processes,
        )
        if not features[name].rows:
            _refuse(desed, name, "no clip that can be read")
    return features


def _split(
    desed: Desed, features: Mapping[str, Features], config: TrainConfig
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Part the clips of each training set; unlabelled ones have nothing to measure."""
    trained_on, held_out = {}, {}
    for number, name in enumerate(TRAINED):
        if name not in features:
            continue
        names = [n for n in desed.subsets[name].truth if n in features[name].rows]
        share = config.held_out if name != "unlabel_in_domain" else 0.0
        trained_on[name], kept = split_names(names, share, seed=[config.seed, number])
        if kept:
            held_out[name] = kept
    return trained_on, held_out


def _counts(
    clips: Mapping[str, ClipDataset], name: str, labels: Sequence[str]
) -> list[int]:
    return clips[name].count_labels() if name in clips else [0] * len(labels)


def _used(desed: Desed, name: str, features: Features) -> UsedSubset:
    subset = desed.subsets[name]
    return UsedSubset(name, subset.version, len(subset.truth), len(features.rows))
