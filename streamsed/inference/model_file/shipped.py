"""The models in the package, and how a model is found by name or path."""

from __future__ import annotations

import os
from pathlib import Path

from streamsed.inference.trust import SHIPPED

FULL = "full"
"""The model of full width: too large for the wheel, it is found once it has been exported."""


def shipped_models() -> list[str]:
    """Return the names of the models in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.pt"))


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the path of a shipped model by name, or of a model file by path.

    Raises
    ------
    FileNotFoundError
        It is neither; the message names the shipped models.
    """
    if str(name_or_path) in shipped_models():
        return SHIPPED / f"{name_or_path}.pt"
    path = Path(name_or_path)
    if str(name_or_path) == FULL and not path.is_file():
        raise FileNotFoundError(
            f"{FULL}: not among the shipped models ({', '.join(shipped_models())}); train it "
            f"as docs/accelerator.md says, and export it to {SHIPPED / FULL}.pt"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"{name_or_path}: neither a shipped model "
            f"({', '.join(shipped_models())}) nor a model file"
        )
    return path
