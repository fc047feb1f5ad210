"""Access recordings in folders, and in anything that fsspec supports (s3, gs, http, ...).

A URI is the absolute path of a local file, or a URL. Every version of a file has an etag:
that of the store, or the time of the last change. Workers read local files in place and
download others to a staging folder.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from streamsed.corpus.tables.parts import key_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before retrying a file that could not be reached."""

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError)


class UnreachableError(OSError):
    """A file could not be reached, possibly because of the network."""


def is_url(text: str) -> bool:
    """Return whether this is a URL, but not of a local file."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    return scheme is not None and scheme[1].lower() != "file"


def local_path(uri: str) -> Path:
    """Return the path of a local URI or a plain path."""
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))
    return Path(uri)


def uri_of(path: Path) -> str:
    """Return the URI of a local file: its absolute path, if that is UTF-8."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay links
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.as_uri()
    return str(path)


def filesystem(url: str) -> AbstractFileSystem:
    """Return the file system of a URL; options come from fsspec's configuration.

    Raises
    ------
    ValueError
        The protocol is unknown, or the package for it is not installed.
    """
    import fsspec

    scheme = url.partition("://")[0].lower()
    try:
        return fsspec.filesystem(
            scheme
        )  # not url_to_fs, which interprets "::" in names
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error


def etag_of(info: Mapping[str, Any]) -> str:
    """Return an identifier of the version of a remote file, "" if there is none."""
    for name in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified"):
        if info.get(name):
            return str(info[name]).strip('"')
    return ""


def stat(uri: str) -> tuple[int, str]:
    """Return size and etag of a file, -1 and "" if unknown."""
    try:
        if is_url(uri):
            files = filesystem(uri)
            info = files.info(files._strip_protocol(uri))
            return int(info.get("size") or 0), etag_of(info)
        found = local_path(uri).stat()
    except Exception:  # noqa: BLE001 - errors are reported when the file is processed
        return -1, ""
    return found.st_size, str(found.st_mtime_ns)


class Staging:
    """A folder of local copies.

    Parameters
    ----------
    folder : Path
        Created when needed.
    delays : sequence of float
        See `DELAYS`.
    """

    def __init__(self, folder: Path, delays: tuple[float, ...] = DELAYS) -> None:
        self._folder, self._delays = folder, delays

    def path(self, uri: str, size: int, etag: str) -> Path:
        """Return the path of the local copy, or of the file itself if it is local."""
        if not is_url(uri):
            return local_path(uri)
        suffix = Path(urlsplit(uri).path).suffix
        plain = suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""
        return self._folder / f"{key_of(uri, size, etag).hex()}{plain}"

    def fetch(self, uri: str, size: int, etag: str) -> Path:
        """Return the path of a local copy, downloading it if necessary.

        Raises
        ------
        UnreachableError
            It could not be reached after several attempts.
        OSError, ValueError
            It does not exist, cannot be read, or cannot be written here.
        """
        path = self.path(uri, size, etag)
        if not is_url(uri) or path.exists():
            return path
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
        files = filesystem(uri)
        try:
            for delay in (*self._delays, None):
                try:
                    files.get_file(files._strip_protocol(uri), str(scratch))
                    scratch.replace(path)
                except _FINAL as error:
                    raise OSError(f"{uri}: {_reason(error)}") from error
                except Exception as error:
                    _raise_if_full(uri, error, self._folder)
                    if delay is None:
                        raise UnreachableError(
                            f"{uri} could not be reached in {len(self._delays) + 1} attempts "
                            f"({_reason(error)})"
                        ) from error
                    time.sleep(delay * random.uniform(0.5, 1.5))
                else:
                    return path
        finally:
            scratch.unlink(missing_ok=True)
        raise AssertionError("the last attempt returns or raises")

    def release(self, uri: str, size: int, etag: str) -> None:
        """Remove the local copy of a processed file."""
        if is_url(uri):
            self.path(uri, size, etag).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all copies, including those of interrupted runs."""
        if self._folder.is_dir():
            shutil.rmtree(self._folder)


def _raise_if_full(uri: str, error: Exception, folder: Path) -> None:
    """Raise an error if there is no room for the copy."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise UnreachableError(
            f"{uri} could not be copied to {folder} ({error.strerror}); free some space, or "
            "choose another folder with --staging"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
