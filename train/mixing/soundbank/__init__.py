"""Soundbank: isolated sounds by label, and backgrounds, held in memory for mixing.

::

    DIR/foreground/<Label>/*     one sound per file; the folders are the labels
    DIR/background/**            beds and distractors, grouped by folder
    DIR/manifest.csv             optional; its columns `path` and `split` choose files,
                                 `source_repo` and `source_recording_id` say who
                                 recorded them, and which are parts of one recording

A file of the bank may hold one sound several times, a dog that barks thrice, so its
*active regions* are found from its energy and each becomes an event of its own.
"""

from train.mixing.soundbank.bank import Soundbank, load_banks
from train.mixing.soundbank.clip import Clip, Region, Samples, active_regions
from train.mixing.soundbank.files import (
    SplitError,
    describe_split,
    known_split,
    known_splits,
    name_part,
)
from train.mixing.soundbank.leave_out import read_leave_out
from train.mixing.soundbank.record import hold_to_bank

__all__ = [
    "Clip",
    "Region",
    "Samples",
    "Soundbank",
    "SplitError",
    "active_regions",
    "describe_split",
    "hold_to_bank",
    "known_split",
    "known_splits",
    "load_banks",
    "name_part",
    "read_leave_out",
]
