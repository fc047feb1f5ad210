"""`python -m train soundscapes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.cli.options import Bank, Blueprints, Split, read_layouts
from train.config.mixing import EVALUATION_MIXING
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank
from train.mixing.soundscape_files import write_soundscapes


def soundscapes(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    *,
    soundbank: Bank,
    split: Split = None,
    blueprint: Blueprints = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            min=1,
            help="Number of soundscapes, with --blueprint at most one for each clip. "
            "[default: all clips of the lists, or 300]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the soundscapes.")] = 1,
) -> None:
    """Write soundscapes: OUT/audio/*.flac, and OUT/strong.tsv with their events.

    With --blueprint, each has the labels, onsets and offsets of a clip of the list.
    """
    layouts = read_layouts(blueprint)
    mixer = Mixer(Soundbank.load(soundbank, split=split), EVALUATION_MIXING)
    print(write_soundscapes(output, mixer, layouts=layouts[:n], n=n or 300, seed=seed))
