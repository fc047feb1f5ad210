"""Files that appear whole or not at all.

What is written goes to a scratch file beside its place, which is renamed in the end: a
reader never sees half of a file, and an interruption leaves what was there before.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    start = path.name[
        :32
    ]  # a name has a longest length, and the scratch file's is longer
    handle, name = tempfile.mkstemp(prefix=f".{start}.", dir=path.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.chmod(0o666 & ~_umask())  # mkstemp makes it private
        publish(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


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
