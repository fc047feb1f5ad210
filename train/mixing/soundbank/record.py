"""Which recordings a run mixes, so that it does not go on with others.

A run that was begun on one part of a bank and resumed on all of it would have learnt from
the recordings that it is measured on, and nothing would tell. Recordings are known by
their names and by what is in their files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streamsed.events import Event
from train.annotations.event_lists import digest
from train.mixing.soundbank.bank import Soundbank
from train.mixing.soundbank.clip import Clip
from train.provenance import hold_to_record, read_record

RECORD = "bank.json"
"""The fingerprints of the recordings and lists that a run is mixed of."""
AUDIO = "audio"
"""The entry for what is in the files, which older records lack."""


def hold_to_bank(
    run: Path,
    bank: Soundbank,
    layouts: Sequence[Sequence[Event]] = (),
    *,
    begun: bool,
) -> None:
    """Record what a run is mixed of, or refuse to continue it with something else.

    Parameters
    ----------
    run : Path
        Folder of the run.
    bank : Soundbank
        The recordings that it learns from.
    layouts : sequence of sequence of Event
        The clips of lists that scenes or soundscapes are like.
    begun : bool
        Whether the run has been begun. If so and its folder has no record, as before runs
        had one, these are recorded as its own.

    Raises
    ------
    ValueError
        The run was begun with others, or its record is damaged.
    """
    lists = {str(index): events for index, events in enumerate(layouts)}
    named = {
        "sounds": _fingerprint(bank.foreground, _name),
        "backgrounds": _fingerprint(bank.background, _name),
        "lists": digest(lists),
    }
    now = named | {
        AUDIO: _fingerprint(bank.foreground, _audio)
        + _fingerprint(bank.background, _audio)
    }
    path = run / RECORD
    if begun and path.is_file() and AUDIO not in read_record(path):
        _hold(run, named, begun=True)
        begun = False  # written by an older version; from now on with its audio
    _hold(run, now, begun=begun)


def _hold(run: Path, now: Mapping[str, str], *, begun: bool) -> None:
    other = hold_to_record(run / RECORD, now, begun=begun)
    if other:
        other = [each for each in other if each != AUDIO] or other  # other names say it
        raise ValueError(
            f"--run {run}: was begun with other {' and '.join(other)}; resume with the same "
            "banks, manifests and options, or name another --run"
        )


def _fingerprint(
    groups: Mapping[str, Sequence[Clip]], line: Callable[[Clip], str]
) -> str:
    """Hash a line of each recording, by group."""
    rows = sorted(
        f"{name}\t{line(clip)}\n" for name, clips in groups.items() for clip in clips
    )
    text = "".join(rows).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]


def _name(clip: Clip) -> str:
    return f"{clip.source}\t{clip.recording}"


def _audio(clip: Clip) -> str:
    return clip.digest
