"""Shards of a corpus, processed at the same time by independent programs.

`--shard 3/8` processes every file whose URI hashes to 2 modulo 8. The process of a shard
locks a file in `OUT/locks`; the system releases the lock when the process ends.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shards of a corpus.

    Parameters
    ----------
    number, count : int
        From 1 to `count`.

    Raises
    ------
    ValueError
        The number is out of range.

    Examples
    --------
    >>> shards = [Shard.parse(f"{i}/3") for i in (1, 2, 3)]
    >>> [shard.contains("s3://bucket/a.flac") for shard in shards].count(True)
    1
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        """Check the range."""
        if not 1 <= self.number <= self.count:
            raise ValueError(
                f"--shard must be from 1/{self.count} to {self.count}/{self.count}, "
                f"not {self.number}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `3/8`."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and int(count)):
            raise ValueError(f"--shard must be NUMBER/COUNT, such as 3/8, not {text!r}")
        return cls(int(number), int(count))

    @property
    def name(self) -> str:
        """Name in file names."""
        return f"{self.number}-of-{self.count}"

    def contains(self, uri: str) -> bool:
        """Whether a file belongs to this shard."""
        digest = hashlib.blake2b(uri.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1


@contextmanager
def locked(folder: Path, shard: Shard) -> Iterator[set[str]]:
    """Lock a shard; yield the names of the shards that other processes work on.

    Raises
    ------
    ValueError
        Another process works on this shard, or on shards with another count.
    """
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    own = locks / f"{shard.name}.lock"
    with own.open("a") as stream:
        if not _try_lock(stream):
            raise ValueError(
                f"{folder}: another process is working on shard "
                f"{shard.number}/{shard.count}; wait for it, or use another --shard"
            )
        others = set()
        for path in sorted(locks.glob("*.lock")):
            if path != own:
                with path.open("a") as other:
                    if not _try_lock(other):
                        others.add(path.stem)
        for name in sorted(others):
            if not name.endswith(f"-of-{shard.count}"):
                raise ValueError(
                    f"{folder}: another process is working on shard "
                    f"{name.replace('-of-', '/')}, and files would be processed twice; use "
                    f"--shard i/{name.rpartition('-')[2]}, or wait for it"
                )
        yield others


def _try_lock(stream: IO[str]) -> bool:
    """Lock exclusively if there is no other lock; closing the stream releases it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
