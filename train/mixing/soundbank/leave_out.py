"""Recordings of banks that are not used, by a list such as docs/soundbank-audit.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from train.annotations.tsv import read_rows

LEFT_OUT = ("drop", "noncommercial", "contains")
"""Decisions, up to a colon, that leave a recording out; whatever else stands there keeps it."""

Rows = Sequence[tuple[str, str]]
"""Bank and path of each recording that is left out; an empty bank stands for any."""


def read_leave_out(path: Path, banks: Sequence[Path]) -> dict[Path, set[str]]:
    """Read which recordings of banks are not to be used.

    Parameters
    ----------
    path : Path
        CSV with the columns `path` and `decision`: "drop", "noncommercial" and "contains:
        LABEL" leave a recording out. Where there is a column `bank`, a row is of the bank
        in a folder of that name, or of any bank if it is empty.
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
        It is missing or has no such columns; none of its recordings is in a bank, so that
        nothing would be left out; or a bank seems to be one of the list under another name.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    rows = [
        (row["bank"], row["path"])
        for row in read_rows(path, ("path", "decision"))
        if row["decision"].partition(":")[0] in LEFT_OUT
    ]
    names = {bank: {bank.absolute().name, bank.resolve().name} for bank in banks}
    _refuse_renamed(path, rows, names)
    left_out = {
        bank: {name for of, name in rows if not of or of in names[bank]}
        for bank in banks
    }
    found = any((bank / name).is_file() for bank in banks for name in left_out[bank])
    if rows and not found and all(bank.is_dir() for bank in banks):
        raise ValueError(
            f"--leave-out {path}: none of its recordings, such as "
            f"{min(name for _, name in rows)}, is in {' or '.join(map(str, banks))}; paths "
            "must be those within a bank, and the column bank the name of its folder"
        )
    return left_out


def _refuse_renamed(path: Path, rows: Rows, names: Mapping[Path, set[str]]) -> None:
    """Raise a ValueError for a bank that has what is left out of one that is not there."""
    listed = {of for of, _ in rows if of}
    absent = listed.difference(*names.values())
    for bank, own in names.items():
        if own & listed:
            continue
        for of, name in rows:
            if of in absent and (bank / name).is_file():
                raise ValueError(
                    f"--leave-out {path}: leaves {name} out of a bank {of}, and {bank} has "
                    f"such a recording; if it is that bank, name its folder {of}, else "
                    f"remove the rows of {of} from the list"
                )
