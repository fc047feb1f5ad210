"""Which model files may run the TorchScript program they contain.

A TorchScript archive is a program that can write and overwrite files. The runtime builds
the network from the file's data instead; only older files, without a graph, have to be run
as programs. This is permitted for two lists of files, by SHA-256: those shipped with the
package (`models/SHA256SUMS`, written by `make checksums`) and those exported by this user,
which `python -m train export` records in the user's data folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SHIPPED = Path(__file__).parent.parent / "models"
SHIPPED_SUMS = SHIPPED / "SHA256SUMS"
_LINE = re.compile(r"^([0-9a-f]{64})  ", re.MULTILINE)


def exported_sums() -> Path:
    """Return the path of the list of files exported by this user, in `sha256sum` format."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if Path(state).is_absolute() else Path.home() / ".local/state"
    return folder / "streamsed" / "exported.sha256"


def origin(sha256: str) -> str:
    """Return the origin of a file: "shipped", "exported" by this user, or "".

    Examples
    --------
    >>> origin("0" * 64)
    ''
    """
    if sha256 in _listed(SHIPPED_SUMS):
        return "shipped"
    return "exported" if sha256 in _listed(exported_sums()) else ""


def note_exported(sha256: str, path: Path) -> None:
    """Record a file as exported by this user.

    Raises
    ------
    OSError
        The list cannot be written.
    """
    if origin(sha256):
        return
    sums = exported_sums()
    sums.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = " ".join(path.name.split())
    line = f"{sha256}  {name}\n".encode(errors="surrogateescape")
    descriptor = os.open(sums, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)  # in one write, so that two exports do not mix
    finally:
        os.close(descriptor)


def _listed(sums: Path) -> frozenset[str]:
    try:
        text = sums.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # nothing has been exported yet
        return frozenset()
    return frozenset(_LINE.findall(text))
