"""Files of pictures: which formats there are, and how a figure is written.

Matplotlib is an optional dependency and takes half a second to import, so it is imported
where a figure is made.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamsed.atomic_write import is_device, replacing
from streamsed.installation import install_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
"""File names of pictures end in one of these."""
DPI = 100
_METADATA: dict[str, tuple[str, dict[str, None]]] = {
    "png": ("Description", {}),
    "svg": ("Description", {"Date": None}),
    "pdf": ("Subject", {"CreationDate": None}),
}
"""By format: what a description is called, and what would differ from run to run."""


def check_picture(path: Path, *, option: str = "--plot") -> None:
    """Check, before long work, that a picture can be drawn and in which format.

    Parameters
    ----------
    path : Path
        The file; its suffix is the format. A device receives a PNG.
    option : str
        The option that names it.

    Raises
    ------
    ValueError
        The suffix is not one of `SUFFIXES`.
    ModuleNotFoundError
        Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES and not is_device(path):
        listed = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise ValueError(f"{option} {path}: the name must end in {listed}")
    if find_spec("matplotlib") is None:
        raise ModuleNotFoundError(
            f"{option} needs Matplotlib: {install_command('plot')}"
        )


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches.

    Raises
    ------
    ModuleNotFoundError
        Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"plots need Matplotlib: {install_command('plot')}"
        ) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=DPI)


def save_figure(figure: Figure, path: Path, *, about: str = "") -> None:
    """Write a figure atomically, in the format of the suffix; equal figures, equal files.

    Parameters
    ----------
    figure : Figure
        From `new_figure`.
    path : Path
        The file; see `check_picture`.
    about : str
        Description, stored in the file.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    from matplotlib import rc_context

    form = "png" if is_device(path) else path.suffix.lower().removeprefix(".")
    described_as, varying = _METADATA[form]
    metadata: dict[str, Any] = {**varying, **({described_as: about} if about else {})}
    with (
        rc_context({"svg.hashsalt": "streamsed"}),
        replacing(path) as scratch,
        warnings.catch_warnings(),
    ):
        # A character missing from the font is drawn as a box; no need to warn.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(scratch, format=form, metadata=metadata)
