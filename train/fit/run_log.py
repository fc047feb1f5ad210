"""Logs of a run: CSV files, and the same numbers for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamsed.atomic_write import write

NAMES = ("log", "validation")
"""The files, less `.csv`."""


class RunLog:
    """The log of one run.

    Parameters
    ----------
    folder : Path
        The run's folder.
    tensorboard : bool
        Write TensorBoard's files too, into `folder/tensorboard`.

    Raises
    ------
    ValueError
        TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        self._folder = folder
        self._board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ValueError(
                    "--tensorboard: TensorBoard is not installed; run `pip install tensorboard`"
                ) from error
            self._board = SummaryWriter(str(folder / "tensorboard"))

    def add(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to `name`.csv; the first row brings the header, `step` counts."""
        path = self._folder / f"{name}.csv"
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        if self._board is not None:
            for key, value in row.items():
                self._board.add_scalar(f"{name}/{key}", float(value), int(row["step"]))
            self._board.flush()

    def rewind(self, step: int) -> None:
        """Remove the rows after a step, which a run that continues there writes again.

        Only the CSV files are rewound; TensorBoard shows the later of two values.
        """
        for path in (self._folder / f"{name}.csv" for name in NAMES):
            if not path.exists():
                continue
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                rows = [row for row in reader if _step_of(row, path) <= step]
            if not rows:
                path.unlink()
                continue
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write(path, [text.getvalue()])


def _step_of(row: Mapping[str, Any], path: Path) -> int:
    """Read the step of a row.

    Raises
    ------
    ValueError
        It is none: the message names the file and the row.
    """
    text = str(row.get("step") or "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(
            f"{path}: step must be a whole number, not "
            f"{text[:40]!r}, in {str(dict(row))[:200]}; repair or remove the row"
        )
    return int(text)
