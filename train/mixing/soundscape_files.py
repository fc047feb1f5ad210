"""Soundscapes on disk: audio files and the list of their events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from streamsed.events import Event
from streamsed.progress import track
from train.annotations.event_lists import write_strong
from train.mixing.mixer import Layout, Mixer


def write_soundscapes(
    folder: Path, mixer: Mixer, *, layouts: Sequence[Layout] = (), n: int, seed: int
) -> Path:
    """Write soundscapes as 16-bit FLAC with a strong list beside them.

    Parameters
    ----------
    folder : Path
        Created if it does not exist; `audio/*.flac` and `strong.tsv` go into it.
    mixer : Mixer
        Where they come from.
    layouts : sequence of Layout
        Clips to rebuild, in this order; if there are none, `n` are generated at random.
    n, seed : int
        How many, and which.

    Returns
    -------
    Path
        The list, tab-separated `filename onset offset event_label`; a soundscape without
        events is a row with only its name.
    """
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    events: dict[str, list[Event]] = {}
    n = len(layouts) or n
    for index in track(range(n), "mixing", total=n, unit="soundscapes"):
        rng = np.random.default_rng([seed, index])
        soundscape = mixer.rebuild(layouts[index], rng) if layouts else mixer.mix(rng)
        name = f"soundscape_{index:05d}.flac"
        soundfile.write(audio / name, soundscape.samples, mixer.bank.sample_rate)
        events[name] = soundscape.events
    tsv = folder / "strong.tsv"
    write_strong(tsv, events)
    return tsv
