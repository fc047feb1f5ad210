"""Signatures with which a receiver verifies the sender and the time of a message.

They follow the Standard Webhooks convention, for which most languages have a library:
HMAC-SHA256 of `ID.TIMESTAMP.BODY`, in base64 after `v1,`. A secret that begins with
`whsec_` is base64; any other is used as text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

PREFIX = "whsec_"


def read_secret(path: Path) -> bytes:
    """Return the key on the first line of a file.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It has no key, or one that is not base64.
    """
    lines = path.read_text(errors="surrogateescape").splitlines()
    line = lines[0].strip() if lines else ""
    try:
        encoded = line.startswith(PREFIX)
        key = (
            base64.b64decode(line.removeprefix(PREFIX), validate=True)
            if encoded
            else line.encode(errors="surrogateescape")
        )
    except (binascii.Error, ValueError):
        raise ValueError(f"{path}: not base64 after {PREFIX}") from None
    if not key:
        raise ValueError(f"{path}: the first line is empty; write the secret there")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message.

    Parameters
    ----------
    key : bytes
        Secret of sender and receiver.
    message_id : str
        The same for all attempts.
    timestamp : int
        Time of the attempt, in seconds since 1970.
    body : bytes
        The posted JSON.

    Examples
    --------
    >>> signature(b"secret", "msg-1", 1700000000, b"{}")
    'v1,bxoCRqIU3K0tTdDuvhsXEfYxEVUqJmCYC9pDrP7Vkjs='
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
