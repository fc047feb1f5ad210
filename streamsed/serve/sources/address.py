"""Addresses without user, password or key, for display."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "…"
"""Replaces a credential."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")


def redacted(url: str) -> str:
    """Return an address without its user, password and query, which may hold a key.

    Examples
    --------
    >>> redacted("rtsp://me:secret@camera:554/one?token=abc")
    'rtsp://camera:554/one?…'
    >>> redacted("file:///home/me/scene.flac")
    'file:///home/me/scene.flac'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, "")) or url


def scrubbed(text: str, url: str) -> str:
    """Return the output of another program without the credentials of `url`.

    Parameters
    ----------
    text : str
        Such as an error message of ffmpeg.
    url : str
        The address that the program opened.

    Examples
    --------
    >>> scrubbed("rtsp://me:s%20t@camera/: 401 for me:s t", "rtsp://me:s%20t@camera/")
    'rtsp://camera/: 401 for …:…'
    """
    parts = urlsplit(url)
    text = text.replace(url, redacted(url))
    text = _CREDENTIALS.sub("", text)
    secrets = [part for part in (parts.username, parts.password, parts.query) if part]
    secrets += [unquote(secret) for secret in secrets]
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text
