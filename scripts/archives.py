"""Archives of a size at most: what does not fit into one goes into the next."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import IO, Self

OVERHEAD, GROWTH = 4096, 1.001
"""Bytes beside a file's own, and by how much gzip may lengthen those."""


class Archives:
    """One tar.gz, and further ones when it is full: a context manager.

    Parameters
    ----------
    output : Path
        The first; the others are beside it, NAME.2.tar.gz and so on.
    limit : float
        Bytes of each at most.
    """

    def __init__(self, output: Path, limit: float) -> None:
        self.paths: list[Path] = []
        self._output, self._limit = output, limit
        self._name = output.name.removesuffix(".gz").removesuffix(".tar")
        self._open()

    def _open(self) -> None:
        number = len(self.paths) + 1
        path = self._output
        if number > 1:
            path = path.with_name(f"{self._name}.{number}.tar.gz")
        self.paths.append(path)
        self._file = _draft(path).open("wb")
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb")
        self._tar = tarfile.open(fileobj=self._gzip, mode="w")  # noqa: SIM115

    def _close(self) -> None:
        self._tar.close()
        self._gzip.close()
        self._file.close()

    def add(self, member: tarfile.TarInfo, content: IO[bytes]) -> None:
        """Add a file, to the next archive if it might not fit into this one.

        Raises
        ------
        ValueError
            The file alone is larger than an archive may be.
        """
        size = GROWTH * member.size + OVERHEAD
        if size > self._limit:
            raise ValueError(
                f"{member.name}: {member.size / 1e6:.1f} MB do not fit into an archive of "
                f"{self._limit / 1e6:.1f} MB; set --limit higher"
            )
        if self._file.tell() + size > self._limit:
            self._close()
            self._open()
        self._tar.addfile(member, content)
        self._gzip.flush()  # so that what is written is all there is

    def add_tree(self, path: Path, name: str) -> None:
        """Add a file, or the files of a folder in their order."""
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file():
                inner = f"/{each.relative_to(path).as_posix()}" if each != path else ""
                with each.open("rb") as content:
                    member = self._tar.gettarinfo(each, f"{name}{inner}")
                    self.add(member, content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the archives their names once all are whole; leave none otherwise."""
        self._close()
        for path in self.paths:
            if kind is None:
                _draft(path).replace(path)
            else:
                _draft(path).unlink()


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
