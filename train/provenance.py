"""Where a result comes from."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

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
