"""Fetch packages of Debian and take files out of them, as strangers' archives.

Only what a list names is read, at most so many bytes of it, and nothing is written under
a name that an archive chose. Takes `dpkg-deb`.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import struct
import subprocess
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

MAX_ARCHIVE = 2 << 30
"""Bytes of a package."""
MAX_MEMBER = 256 << 20
"""Bytes of a file in it."""


def fetch(url: str, path: Path, sha256: str) -> None:
    """Download a package unless it is there already.

    Parameters
    ----------
    url : str
        Of the archive.
    path : Path
        Where it goes; appears only whole and checked.
    sha256 : str
        Hexadecimal.

    Raises
    ------
    OSError
        It cannot be had.
    ValueError
        It is not what the list says, or too large.
    """
    if path.is_file() and _digest(path) == sha256:
        return
    part = path.with_suffix(".part")
    with urllib.request.urlopen(url, timeout=60) as reply, part.open("wb") as file:
        while block := reply.read(1 << 20):
            file.write(block)
            if file.tell() > MAX_ARCHIVE:
                part.unlink()
                raise ValueError(f"{url}: larger than {MAX_ARCHIVE} bytes")
    if (found := _digest(part)) != sha256:
        part.unlink()
        raise ValueError(f"{url}: sha256={found} must be {sha256}, as the list says")
    part.replace(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(archive: Path, members: Iterable[str], folder: Path) -> dict[str, Path]:
    """Take files out of a package, under names of their numbers.

    Parameters
    ----------
    archive : Path
        A .deb file.
    members : iterable of str
        Paths in it, relative to its root; everything else is passed over.
    folder : Path
        Where they go.

    Returns
    -------
    dict of str to Path
        Where each member lies.

    Raises
    ------
    ValueError
        A member is missing, no regular file or too large, or the archive is damaged.
    """
    wanted = set(members)
    found: dict[str, Path] = {}
    command = ["dpkg-deb", "--fsys-tarfile", str(archive.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            _take(process.stdout, archive, wanted, folder, found)
        except tarfile.TarError as error:
            raise ValueError(f"{archive}: not a Debian package: {error}") from error
        finally:
            process.kill()
    if missing := sorted(wanted - set(found)):
        raise ValueError(f"{archive}: holds no regular file {missing[0]}")
    return found


def _take(
    stream: IO[bytes] | None,
    archive: Path,
    wanted: set[str],
    folder: Path,
    found: dict[str, Path],
) -> None:
    """Read a tar archive until everything is found."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            name = info.name.removeprefix("./")
            if name not in wanted or name in found or not info.isreg():
                continue
            if info.size > MAX_MEMBER:
                raise ValueError(f"{archive}: {name} is larger than {MAX_MEMBER} bytes")
            content = tar.extractfile(info)
            if content is None:
                continue
            target = folder / f"{len(found)}{Path(name).suffix.lower()}"
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
            found[name] = target
            if len(found) == len(wanted):
                return


def unpack(container: Path, name: str, target: Path) -> None:
    """Take one recording out of a file that holds many.

    Parameters
    ----------
    container : Path
        A zip archive, or one of OpenTTD's `.cat` files.
    name : str
        A path in the zip archive, or the number of the recording, from 0.
    target : Path
        Where it goes.

    Raises
    ------
    ValueError
        There is no such recording, it is too large, or the container is damaged.
    """
    try:
        if container.suffix == ".cat":
            content = _from_cat(container.read_bytes(), int(name))
        else:
            with zipfile.ZipFile(container) as file:
                if file.getinfo(name).file_size > MAX_MEMBER:
                    raise ValueError(f"larger than {MAX_MEMBER} bytes")
                content = file.read(name)
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
        *(EOFError, NotImplementedError),
    ) as error:
        raise ValueError(f"damaged: {error}") from error
    except (KeyError, struct.error, IndexError, RuntimeError) as error:
        raise ValueError(f"holds no {name}") from error
    target.write_bytes(content)


def _from_cat(content: bytes, number: int) -> bytes:
    """Read a recording: a table of offsets and lengths, then names, each with a file."""
    (end,) = struct.unpack_from("<I", content)
    if not 0 <= number < (end & 0x7FFFFFFF) // 8:
        raise IndexError(number)
    offset, length = struct.unpack_from("<II", content, number * 8)
    first = (offset & 0x7FFFFFFF) + 1 + content[offset & 0x7FFFFFFF]
    return content[first : first + length]
