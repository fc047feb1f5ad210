"""Where a result comes from."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from streamsed.atomic_write import write

PACKED = Path(__file__).parent / "COMMIT"
"""Names the commit in a copy without git; `scripts.pack` writes it."""


def current_commit() -> str:
    """Name the commit that is checked out, or "unknown" outside a repository.

    It ends in "-dirty" if files of the commit were changed since: then the result is not
    that of the commit.
    """
    if PACKED.is_file():
        return PACKED.read_text(encoding="utf-8").strip()
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()


def hold_to_record(path: Path, now: Mapping[str, str], *, begun: bool) -> list[str]:
    """Compare what a run is made of with its record, or write that.

    Parameters
    ----------
    path : Path
        The record, a JSON file in the folder of the run.
    now : mapping of str to str
        Fingerprints by what they are of.
    begun : bool
        Whether the run has been begun: then its record holds, if it has one.

    Returns
    -------
    list of str
        What differs from the record, in alphabetical order; empty once it is written.

    Raises
    ------
    ValueError
        The record is damaged.
    """
    if not begun or not path.is_file():
        write(path, [json.dumps(dict(now), indent=1) + "\n"])
        return []
    before = read_record(path)
    return sorted(k for k in now.keys() | before if now.get(k) != before.get(k))


def read_record(path: Path) -> dict[str, str]:
    """Read what `hold_to_record` wrote.

    Raises
    ------
    ValueError
        The record is damaged.
    """
    record: object = None
    with suppress(ValueError):
        record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError(  # noqa: TRY004 - an error in the file, not of the caller
            f"{path}: damaged, so that it does not say what the run was begun with; choose "
            "another --run, or remove this one"
        )
    return record


def current_command() -> str:
    """Say which command this is; folders lose the paths that lead to them.

    Examples
    --------
    >>> without_paths("train export runs/mine --soundbank ../banks/home")
    'train export mine --soundbank home'
    """
    return without_paths(shlex.join(["python", "-m", "train", *sys.argv[1:]]))


def without_paths(command: str) -> str:
    """Keep the names at the ends of all paths in a command."""
    return re.sub(r"[^\s']*/([^\s'])", r"\1", command)
