"""Read tables whose columns are found by name, with errors that name file and line.

Values are separated by tabs, or by commas where the header is. A value can be quoted, as
in CSV. Empty lines are ignored. Errors name the file and the line.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

MAX_SECONDS = 1e7

LONGEST_SHOWN = 80
"""Characters of a value that an error message shows at most."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row.

    Parameters
    ----------
    path, line : Path, int
        Its file and line number.
    values : mapping of str to str
        Values by column; missing values are empty.
    """

    path: Path
    line: int
    values: Mapping[str, str] = field(repr=False)

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def word(self, column: str) -> str:
        """Return a value that must not be empty."""
        if not self[column]:
            self.refuse(column, "not be empty")
        return self[column]

    def number(self, column: str) -> float:
        """Return a value that must be a finite number."""
        try:
            value = float(self[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.refuse(column, "be a number")
        return value

    def seconds(self, column: str) -> float:
        """Return a value that must be a time or a duration, up to a third of a year."""
        value = self.number(column)
        if abs(value) > MAX_SECONDS:
            self.refuse(column, f"be at most {MAX_SECONDS:.0e} (in seconds)")
        return value

    def label(self, column: str) -> str:
        """Return a value that must be a printable name."""
        if not self.word(column).isprintable():
            self.refuse(column, "be a printable name")
        return self[column]

    def refuse(self, column: str, rule: str) -> NoReturn:
        """Raise a ValueError with the position of the row and the rule for a value."""
        raise ValueError(
            f"{self.path}, line {self.line}: {column} must {rule}, not {_shown(self[column])}"
        )


def read_rows(
    path: Path, columns: Sequence[str], *, other_names: Mapping[str, str] | None = None
) -> Iterator[TableRow]:
    """Read the rows of a table.

    Parameters
    ----------
    path : Path
        UTF-8; file names that are not come back as Python writes such names.
    columns : sequence of str
        Required columns, in any order; there may be others.
    other_names : mapping of str to str or None
        Names by which a required column may be called instead.

    Yields
    ------
    TableRow
        The rows after the header.

    Raises
    ------
    ValueError
        There is no such header, or a row has more values than it.
    OSError
        The file cannot be read.
    """
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    first = text.partition("\n")[0]
    delimiter = "," if "," in first and "\t" not in first else "\t"
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        for other, column in (other_names or {}).items():
            if other in names and column not in names:
                names[names.index(other)] = column
        missing = [column for column in columns if column not in names]
        if missing:
            joined = len(names) == 1 and missing[0] in names[0]
            raise ValueError(
                f"{path}, line 1: the header {_shown(' '.join(names))} lacks the columns "
                f"{', '.join(missing)}" + "; separate values by tabs or commas" * joined
            )
        for values in reader:
            if len(values) > len(names):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {len(values)} values for "
                    f"{len(names)} columns: {_shown(' '.join(values))}"
                )
            row = {k: v.strip() for k, v in zip(names, values, strict=False)}
            if any(row.values()):
                yield TableRow(path, reader.line_num, row)
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: not valid CSV "
            f"({str(error).encode('unicode_escape').decode()})"
        ) from error


def _shown(value: str) -> str:
    """Return a value for a message: quoted, and truncated if it is long."""
    return repr(value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…")
