"""Which data a run was begun with, so that it does not go on with other data."""

from __future__ import annotations

from pathlib import Path

from train.annotations.desed import Desed
from train.datasets.data_module import ClipSet
from train.provenance import hold_to_record

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
        The run was begun with other data, or its record is damaged.
    """
    now = {
        each.name: desed.subsets[each.name].fingerprint
        for each in clips.used
        if each.name != "public"  # which may come later: nothing is learnt from it
    }
    other = hold_to_record(run / DATA, now, begun=begun)
    if other:
        raise ValueError(
            f"--run {run} was started with other data ({', '.join(other)} differ); "
            "choose another --run, or remove this one"
        )
