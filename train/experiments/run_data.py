"""Which data a run was begun with, so that it does not go on with other data."""

from __future__ import annotations

import json
from pathlib import Path

from streamsed.atomic_write import write
from train.annotations.desed import Desed
from train.datasets.data_module import ClipSet

DATA = "data.json"
"""The fingerprints of the subsets that a run is trained and validated on."""


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
        The run was begun with other data.
    """
    now = {
        each.name: desed.subsets[each.name].fingerprint
        for each in clips.used
        if each.name != "public"  # which may come later: nothing is learnt from it
    }
    path = run / DATA
    if not begun or not path.is_file():
        run.mkdir(parents=True, exist_ok=True)
        write(path, [json.dumps(now, indent=1) + "\n"])
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    if before != now:
        other = sorted(k for k in now.keys() | before if now.get(k) != before.get(k))
        raise ValueError(
            f"--run {run} was started with other data ({', '.join(other)} differ); "
            "choose another --run, or remove this one"
        )
