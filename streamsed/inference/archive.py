"""Read the archive of a model file, checked as a whole before any of it is used.

Model files are untrusted. Of the many features of ZIP archives, only those that
`torch.jit.save` and Python's `zipfile` use are accepted: members that are stored or
deflated, with unique, relative and printable names, without overlaps, and of bounded size.
The file is read once, so that what is checked is what is used.

References
----------
PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", sections 4.3.7 (local header),
4.3.12 (central directory), 4.3.14 to 4.3.16 (its end).
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

MAX_BYTES = 200_000_000
"""Maximum size of a file, and of all its members when inflated."""
MAX_MEMBERS = 10_000
MAX_RATIO = 100
"""Maximum compression ratio of a member; TorchScript's reach 5."""
MAX_NAME = 512

_END, _ENTRY, _LOCAL = (
    struct.Struct("<4s4H2LH"),
    struct.Struct("<4s6H3L5H2L"),
    struct.Struct("<4s5H3L2H"),
)
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 0x2041, 0x8
_IN_ZIP64 = 0xFFFFFFFF


class Member(NamedTuple):
    """The position of a member, `data[start:stop]`, and its inflated size and checksum."""

    start: int
    stop: int
    size: int
    crc: int
    deflated: bool


class Archive:
    """The members of an archive, inflated on request.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ValueError
        The archive is damaged, or uses other features than those above.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.members: dict[str, Member] = {}
        if len(data) > MAX_BYTES:
            raise ValueError(_too_large(len(data)))
        ends = []
        for name, offset, member in _entries(data):
            if name in self.members:
                raise ValueError(f"it holds {name} twice")
            self.members[name] = member
            ends.append((offset, member.stop))
        ends.sort()
        for (_, stop), (offset, _) in pairwise(ends):
            if offset < stop:
                raise ValueError("its members overlap")
        if sum(member.size for member in self.members.values()) > MAX_BYTES:
            raise ValueError(f"it holds more than {MAX_BYTES // 10**6} MB")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a file into memory and check it.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            As for the class.
        """
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise ValueError(_too_large(size))
            return cls(stream.read(MAX_BYTES + 1))

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def root(self) -> str:
        """The folder that contains all members, as `torch.jit.save` names it.

        Raises
        ------
        ValueError
            There is no such folder.
        """
        roots = {name.partition("/")[0] for name in self.members}
        if len(roots) != 1 or "/" not in next(iter(self.members)):
            raise ValueError("its members are not in one folder")
        return roots.pop()

    def __contains__(self, name: str) -> bool:
        """Whether there is a member of this name below the root."""
        return f"{self.root}/{name}" in self.members

    def read(self, name: str) -> bytes:
        """Return a member below the root.

        Raises
        ------
        ValueError
            There is no such member, or it is damaged.
        """
        if name not in self:
            raise ValueError(f"it holds no {name.rpartition('/')[2]}")
        return self.inflate(f"{self.root}/{name}")

    def inflate(self, name: str) -> bytes:
        """Return a member by its whole name; see `read`."""
        if name not in self.members:
            raise ValueError(f"it holds no {name}")
        member = self.members[name]
        content = self.data[member.start : member.stop]
        if member.deflated:
            try:
                inflater = zlib.decompressobj(-zlib.MAX_WBITS)
                content = inflater.decompress(content, member.size + 1)
            except zlib.error as error:
                raise ValueError(f"its {name} is damaged ({error})") from error
            if not inflater.eof or inflater.unused_data:
                raise ValueError(f"its {name} is damaged (not of its stated size)")
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise ValueError(f"its {name} is damaged")
        return content

    def check_all(self) -> None:
        """Inflate every member once, so that a damaged file is not used in part.

        Raises
        ------
        ValueError
            A member is damaged.
        """
        for name in self.members:
            self.inflate(name)


def _too_large(size: int) -> str:
    return f"it has {size / 1e6:.0f} MB; at most {MAX_BYTES // 10**6} are allowed"


def _entries(data: bytes) -> Iterator[tuple[str, int, Member]]:
    """Yield name, offset and position of each member listed in the directory."""
    at = len(data) - _END.size
    if at < 0 or data[at : at + 4] != b"PK\x05\x06":
        raise ValueError("it is not a ZIP archive, or is truncated")
    _, disk, first, here, count, size, start, comment = _END.unpack_from(data, at)
    end = start + size
    if (disk, first, here, comment) != (0, 0, count, 0) or end > at:
        raise ValueError("its directory is damaged")
    if data[end:at] not in (b"", _zip64_end(count, size, start)):
        raise ValueError("its directory is damaged")
    if not 1 <= count <= MAX_MEMBERS:
        raise ValueError(f"it has {count} members; at most {MAX_MEMBERS} are allowed")
    position = start
    for _ in range(count):
        if position + _ENTRY.size > end:
            raise ValueError("its directory is truncated")
        entry = _ENTRY.unpack_from(data, position)
        n_name, n_extra, n_comment = entry[10:13]
        raw = data[position + _ENTRY.size : position + _ENTRY.size + n_name]
        position += _ENTRY.size + n_name + n_extra + n_comment
        if entry[0] != b"PK\x01\x02" or position > end:
            raise ValueError("its directory is damaged")
        name = _checked_name(raw)
        yield name, entry[16], _place(data, name, raw, entry, start)
    if position != end:
        raise ValueError("its directory is damaged")


def _zip64_end(count: int, size: int, start: int) -> bytes:
    """Return the ZIP64 records that torch writes before the end."""
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 0x031E, 45, 0, 0, count, count, size, start
    )
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)


def _checked_name(raw: bytes) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise ValueError("it holds a name that is not UTF-8") from None
    parts = name.split("/")
    if not name.isprintable() or len(name) > MAX_NAME:
        raise ValueError("it holds a name that is not printable")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"its member {name} must have a plain relative name")
    return name


def _place(
    data: bytes, name: str, raw: bytes, entry: tuple[bytes | int, ...], end: int
) -> Member:
    """Return the position of a member, after comparing its two headers."""
    flags, method, time, date, crc, packed, size = map(int, entry[3:10])
    disk, offset = int(entry[13]), int(entry[16])
    if flags & _ENCRYPTED:
        raise ValueError(f"its {name} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise ValueError(f"its {name} uses an unsupported compression ({method})")
    if disk or _IN_ZIP64 in (packed, size) or offset + _LOCAL.size > end:
        raise ValueError(f"its {name} is damaged")
    local = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + len(raw) + local[10]
    same = (b"PK\x03\x04", flags, method, time, date, len(raw))
    agrees = (local[0], *local[2:6], local[9]) == same
    if not flags & _SIZES_FOLLOW:
        sizes = [there for there in local[7:9] if there != _IN_ZIP64]
        agrees &= local[6] == crc and (not sizes or local[7:9] == (packed, size))
    if (
        not agrees
        or data[offset + _LOCAL.size : offset + _LOCAL.size + len(raw)] != raw
    ):
        raise ValueError(f"its {name} has two headers that differ")
    if start + packed > end or (method == _STORED and packed != size):
        raise ValueError(f"its {name} is damaged")
    if method == _DEFLATED and size > MAX_RATIO * max(packed, 1):
        raise ValueError(
            f"its {name} has a compression ratio of {size // max(packed, 1)}"
        )
    return Member(start, start + packed, size, crc, method == _DEFLATED)
