"""Write files atomically: a file appears complete or not at all.

Output goes to a temporary file in the same folder, which is renamed at the end: a
reader never sees half a file, and an interruption leaves the previous file intact. A
process that is killed leaves its temporary file, which the next one to write there reuses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` that is renamed to `path` once it is complete.

    The folder of `path` is created if it does not exist.

    An error or an interruption leaves the previous file at `path`, and nothing else. For
    a symbolic link, its target is replaced; a device or pipe is yielded itself.

    Raises
    ------
    OSError
        The folder cannot be created or written to, the disk is full, or `path` is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, not a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"{path}: {error.filename} is a file, not a folder"
        ) from error
    try:
        if is_device(path):
            yield path
        else:
            with _scratch(path.resolve()) as scratch:
                yield scratch
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(
            f"{path}: no room for the output ({error.strerror}); "
            "free some space or choose another folder"
        ) from error


def is_device(path: Path) -> bool:
    """Return whether `path` is a device or a pipe, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def check_writable(path: Path, *, option: str) -> None:
    """Check, before long work, that a file or a folder can be written.

    Parameters
    ----------
    path : Path
        Need not exist, nor need the folders that it is in.
    option : str
        The option that names it.

    Raises
    ------
    NotADirectoryError
        One of its folders is a file.
    PermissionError
        The nearest folder that exists is not writable.
    OSError
        It is, or is in, a symbolic link that leads to itself.
    """
    place = Path(os.path.realpath(path))  # leaves links that lead nowhere
    if any(each.is_symlink() for each in (place, *place.parents)):
        raise OSError(
            f"{option} {path}: a symbolic link there leads to itself; remove it"
        )
    written = path if path.is_dir() or is_device(path) else place.parent
    while not written.exists():
        written = written.parent
    if not (written.is_dir() or is_device(written)):
        raise NotADirectoryError(f"{option} {path}: {written} is a file, not a folder")
    if not os.access(written, os.W_OK):
        raise PermissionError(
            f"{option} {path}: cannot write to {written}; choose another folder"
        )


def check_not_read(
    path: Path | None, read: Iterable[Path], *, option: str = "--output"
) -> None:
    """Check that an output is none of the files that it is made of.

    Parameters
    ----------
    path : Path or None
        The output, if there is one.
    read : iterable of Path
        Files that are read.
    option : str
        How users name the output.

    Raises
    ------
    ValueError
        It would replace one of them.
    """
    if path is None or not path.is_file():
        return
    for each in read:
        if each.exists() and path.samefile(each):
            raise ValueError(
                f"{option} {path}: is read, and would be replaced; choose another file"
            )


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    descriptor, scratch = _open_scratch(path)
    try:
        yield scratch
        scratch.chmod(0o666 & ~_umask())  # it was private so far
        publish(scratch, path)
    except BaseException:
        if _is_ours(descriptor, scratch):
            scratch.unlink()
        raise
    finally:
        os.close(descriptor)


def _open_scratch(path: Path) -> tuple[int, Path]:
    """Open an empty file beside a path and lock it.

    It has a fixed name, so what a killed process left there is taken over by the next one.
    Where another process writes to the same path, or the name is not ours to take, it is a
    new one.
    """
    start = path.name[
        :32
    ]  # a name has a longest length, and the scratch file's is longer
    scratch = path.with_name(f".{start}.part")
    descriptor = _claim(scratch)
    if descriptor is not None:
        return descriptor, scratch
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{start}.", dir=path.parent)
    except OSError as error:  # users know the output, not the scratch file
        raise OSError(error.errno, error.strerror, str(path)) from error
    return descriptor, Path(name)


def _claim(scratch: Path) -> int | None:
    """Open, lock and empty a file; return None where that cannot be done or is unsafe."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(scratch, flags, 0o600)
    except OSError:
        return None
    with suppress(OSError):  # of the lock: another process is writing it
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_ours(descriptor, scratch):
            os.truncate(descriptor, 0)
            return descriptor
    os.close(descriptor)
    return None


def _is_ours(descriptor: int, path: Path) -> bool:
    """Return whether an open file is this user's alone, and still the one at `path`."""
    file = os.fstat(descriptor)
    try:
        there = path.lstat()
    except FileNotFoundError:  # it has just got its name
        return False
    return (
        os.path.samestat(file, there)
        and stat.S_ISREG(file.st_mode)
        and file.st_uid == os.geteuid()
        and file.st_nlink == 1
    )


def publish(scratch: Path, path: Path) -> None:
    """Rename a complete file to `path`, durably: a power failure leaves all of it or none.

    Raises
    ------
    OSError
        The data cannot be written to the disk.
    """
    _sync(scratch)
    scratch.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no fsync
            raise
    finally:
        os.close(descriptor)


def write(path: Path, content: Iterable[str]) -> None:
    """Write text to a file atomically; see `replacing`.

    File names in it that are not UTF-8 are written as their original bytes.
    """
    with (
        replacing(path) as scratch,
        scratch.open("w", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        stream.writelines(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
