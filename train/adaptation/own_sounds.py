"""One's own recordings beside the shipped labels: what is taught, what is kept apart.

A folder named as a shipped label, however it is capitalised, holds more of that label; any
other is a new label. New labels come after the shipped ones, so that these keep their
places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from train.config.scenes import SceneConfig
from train.mixing.scenes import Scene, SceneMixer
from train.mixing.soundbank import Clip, Soundbank, SplitError, known_split

HELD_OUT = 4
"""Every so manieth recording of a label is kept apart, where no manifest says which."""
FEWEST = 3
"""Recordings of a label from which one is kept apart."""
REHEARSED = 0.5
"""Share of the scenes that rehearse, where there is a bank to rehearse."""

ClipsByLabel = dict[str, tuple[Clip, ...]]


@dataclass(frozen=True, slots=True)
class OwnSounds:
    """A user's recordings, sorted.

    Parameters
    ----------
    labels : tuple of str
        The shipped labels, then the new ones in alphabetical order.
    n_shipped : int
        How many of them are shipped.
    taught, held_out : Soundbank
        Recordings to learn from, and those to measure on, of which there may be none.
    """

    labels: tuple[str, ...]
    n_shipped: int
    taught: Soundbank
    held_out: Soundbank

    @classmethod
    def load(
        cls,
        folder: Path,
        shipped: Sequence[str],
        *,
        everything: bool = False,
        sample_rate: int = 44100,
    ) -> OwnSounds:
        """Read a folder laid out as a sound bank.

        With a manifest, split `train` is taught and split `validation` kept apart; without,
        every fourth recording of a label is kept apart, of three the last.

        Parameters
        ----------
        folder : Path
            `foreground/<Label>/*`, and `background/**` with sounds that are no label.
        shipped : sequence of str
            Labels of the model.
        everything : bool
            Teach all recordings and keep none apart.
        sample_rate : int
            Hz, of the model.

        Raises
        ------
        ValueError
            See `Soundbank.load`.
        """
        split = None if everything else known_split(folder, "train")
        bank = Soundbank.load(folder, split=split, sample_rate=sample_rate)
        taught = _spelt(bank, shipped)
        held_out = Soundbank({}, {}, bank.sample_rate)
        if split is not None:
            held_out = _validation(folder, shipped, held_out)
        elif not everything:
            taught, held_out = part(taught)
        new = sorted(set(taught.foreground) - set(shipped))
        return cls((*shipped, *new), len(shipped), taught, held_out)

    @property
    def new(self) -> tuple[str, ...]:
        """The labels that the model does not have."""
        return self.labels[self.n_shipped :]


def part(bank: Soundbank) -> tuple[Soundbank, Soundbank]:
    """Part every label's recordings into those that are taught and those kept apart."""

    def kept_apart(clips: Sequence[Clip]) -> list[int]:
        if len(clips) < FEWEST:
            return []
        return list(range(min(HELD_OUT, len(clips)) - 1, len(clips), HELD_OUT))

    taught: ClipsByLabel = {}
    apart: ClipsByLabel = {}
    for label, clips in bank.foreground.items():
        chosen = kept_apart(clips)
        taught[label] = tuple(c for i, c in enumerate(clips) if i not in chosen)
        if chosen:
            apart[label] = tuple(clips[i] for i in chosen)
    return (
        replace(bank, foreground=taught),
        Soundbank(apart, bank.background, bank.sample_rate),
    )


def _validation(folder: Path, shipped: Sequence[str], nothing: Soundbank) -> Soundbank:
    """Read the split `validation`, which may be missing or have no sound of a label."""
    try:
        bank = Soundbank.load(
            folder, split="validation", sample_rate=nothing.sample_rate
        )
        return _spelt(bank, shipped)
    except SplitError:
        return nothing


def _spelt(bank: Soundbank, shipped: Sequence[str]) -> Soundbank:
    """Return a bank whose labels are spelt as the model spells them."""
    known = {label.casefold(): label for label in shipped}
    foreground: ClipsByLabel = {}
    for name, clips in bank.foreground.items():
        label = known.get(name.casefold(), name)
        foreground[label] = foreground.get(label, ()) + clips
    return replace(bank, foreground=foreground)


class AdaptationMixer:
    """Draw scenes of one's own sounds and, where there is a bank, of the shipped labels'.

    It stands where `SceneMixer` does.

    Parameters
    ----------
    own : OwnSounds
        What is taught.
    config : SceneConfig
        How scenes are drawn.
    others : sequence of Clip
        Sounds that are none of the new labels, among one's own.
    rehearsed : Soundbank, optional
        Recordings of shipped labels; its backgrounds appear among one's own sounds too.
    """

    def __init__(
        self,
        own: OwnSounds,
        config: SceneConfig,
        *,
        others: Sequence[Clip] = (),
        rehearsed: Soundbank | None = None,
    ) -> None:
        taught = own.taught
        background = dict(taught.background)
        if others:
            background["examples"] = tuple(others)
        names = {label.casefold() for label in own.labels}
        if rehearsed is not None:
            shipped = set(own.labels[: own.n_shipped])
            rehearsed = Soundbank(
                {k: v for k, v in rehearsed.foreground.items() if k in shipped},
                # A kind that bears the name of a label is no background to it.
                {
                    kind: clips
                    for kind, clips in rehearsed.background.items()
                    if kind.casefold() not in names
                },
                rehearsed.sample_rate,
            )
            background |= rehearsed.background
        everything = Soundbank(taught.foreground, background, taught.sample_rate)
        self._mixers = [SceneMixer(everything, config)]
        self.bank = everything
        if rehearsed is not None and rehearsed.foreground:
            self._mixers.append(SceneMixer(rehearsed, config))
            self.bank = everything.joined(rehearsed)
        self.kinds: tuple[str, ...] = ()
        """Other kinds than the labels are not learnt by name here."""

    def mix(self, rng: np.random.Generator) -> Scene:
        """Draw one scene."""
        rehearse = len(self._mixers) > 1 and rng.random() < REHEARSED
        scene = self._mixers[rehearse].mix(rng)
        return Scene(scene.samples, scene.events, [])
