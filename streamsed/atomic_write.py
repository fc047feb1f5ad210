"""Files that appear whole or not at all.

What is written goes to a scratch file beside its place, which is renamed in the end: a
reader never sees half of a file, and an interruption leaves what was there before. A
process that is killed leaves its scratch file, which the next one to write there uses.
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
    """Give a scratch file beside `path` that takes its name once all is written.

    The folder that it is in is made if it is not there.

    An error or an interruption leaves what was at `path` before, and nothing else. A link
    stays, and what it points to is replaced; a device or pipe is given as it is.

    Raises
    ------
    OSError
        The folder cannot be made, is not writable or full, or `path` is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file, and is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"{path} must be in a folder, and {error.filename} is a file"
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
            f"{path} must have room for all that is written to it ({error.strerror}); "
            "make room or name another place"
        ) from error


def is_device(path: Path) -> bool:
    """Return whether `path` is a device or a pipe: written to, never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


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
    descriptor, name = tempfile.mkstemp(prefix=f".{start}.", dir=path.parent)
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
    """Give a file that is whole its name, such that a loss of power leaves one or none.

    Raises
    ------
    OSError
        What is written does not reach the disk.
    """
    _sync(scratch)
    scratch.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def write(path: Path, content: Iterable[str]) -> None:
    """Write lines to a file that appears whole or not at all; see `replacing`.

    A file name that is not UTF-8 is written as the bytes that it is.
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
