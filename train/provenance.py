"""Where a result comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current_commit() -> str:
    """Name the commit that is checked out, or "unknown" outside a repository."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
