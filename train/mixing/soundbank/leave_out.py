"""Recordings of banks that are not used, by a list such as docs/soundbank-audit.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.annotations.tsv import read_rows

LEFT_OUT = ("drop", "noncommercial", "contains")
"""Decisions, up to a colon, that leave a recording out; whatever else stands there keeps it."""


def read_leave_out(path: Path, banks: Sequence[Path]) -> dict[Path, set[str]]:
    """Read which recordings of banks are not to be used.

    Parameters
    ----------
    path : Path
        CSV with the columns `path` and `decision`: "drop", "noncommercial" and "contains:
        LABEL" leave a recording out. Where there is a column `bank`, a row is of the bank
        in a folder of that name, or of any bank if it is empty. A bank whose folder the
        list does not name may be one under another name: rows of banks that are not read
        hold for it too.
    banks : sequence of Path
        The banks that are read.

    Returns
    -------
    dict of Path to set of str
        By bank, the paths within it that are left out.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is missing or has no such columns, or none of its recordings is in a bank, so that
        nothing would be left out.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    rows = [
        (row["bank"], row["path"])
        for row in read_rows(path, ("path", "decision"))
        if row["decision"].partition(":")[0] in LEFT_OUT
    ]
    listed = {of for of, _ in rows}
    names = {bank: {bank.absolute().name, bank.resolve().name} for bank in banks}
    absent = listed.difference(*names.values())
    left_out = {}
    for bank, own in names.items():
        called = (own & listed or absent) | {""}
        left_out[bank] = {name for of, name in rows if of in called}
    found = any((bank / name).is_file() for bank in banks for name in left_out[bank])
    if rows and not found and all(bank.is_dir() for bank in banks):
        raise ValueError(
            f"--leave-out {path}: none of its recordings, such as "
            f"{min(name for _, name in rows)}, is in {' or '.join(map(str, banks))}; paths "
            "must be those within a bank"
        )
    return left_out
