"""Which data a run was begun with, and by which code: what its checkpoints do not hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from streamsed.atomic_write import write
from train.annotations.desed import Desed
from train.datasets.data_module import ClipSet
from train.provenance import current_commit, hold_to_record, read_record

DATA = "data.json"
"""The fingerprints of the subsets that a run is trained and validated on."""
COMMITS = "commits.json"
"""The commits whose code trained a run, each with the step that it began at."""


def hold_to_data(run: Path, desed: Desed, clips: ClipSet, *, begun: bool) -> None:
    """Record the data of a run, or refuse to continue it with other data.

    Parameters
    ----------
    run : Path
        Folder of the run.
    desed : Desed
        The data.
    clips : ClipSet
        What is used of it.
    begun : bool
        Whether the run has been begun. If so and its folder has no record, as before runs
        had one, these data are recorded as its own.

    Raises
    ------
    ValueError
        The run was begun with other data, or its record is damaged.
    """
    now = {
        each.name: desed.subsets[each.name].fingerprint
        for each in clips.used
        if each.name != "public"  # which may come later: nothing is learnt from it
    }
    _refuse(run, hold_to_record(run / DATA, now, begun=begun))


def refuse_other_data(run: Path, desed: Desed) -> None:
    """Raise a ValueError if a run was trained on other data, or its record is damaged."""
    if not (run / DATA).is_file():
        return
    record = read_record(run / DATA)
    subsets = desed.subsets
    now = {name: subsets[name].fingerprint for name in record if name in subsets}
    _refuse(run, sorted(name for name in record if now.get(name) != record[name]))


def note_commit(run: Path, step: int) -> None:
    """Record that the code as it is now trains a run from a step on."""
    known = _commits(run) if step else {}
    if current_commit() not in known.values():
        known[str(step)] = current_commit()
        write(run / COMMITS, [json.dumps(known, indent=1) + "\n"])


def commits_of(run: Path) -> list[str]:
    """Return the commits whose code trained a run, the first one first."""
    return list(_commits(run).values())


def _commits(run: Path) -> dict[str, str]:
    """Read the record of commits; of a run of before there were any, none is known."""
    path = run / COMMITS
    return read_record(path) if path.is_file() else {"0": "unknown"}


def _refuse(run: Path, others: Sequence[str]) -> None:
    if others:
        raise ValueError(
            f"--run {run} was started with other data ({', '.join(others)} differ); "
            "choose another --run, or remove this one"
        )
