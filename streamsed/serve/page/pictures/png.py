"""Write log-mel levels as a PNG of 256 colours, and read its texts.

The levels of `MelPicture` are stored unchanged, one byte per pixel, with a palette, so that
any program shows the picture. Reference: the PNG specification
(ISO/IEC 15948), sections 5, 9 and 11.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from streamsed.live.mel_picture import Levels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STOPS = (
    (0, (12, 10, 32)),
    (64, (48, 20, 92)),
    (112, (122, 31, 115)),
    (160, (206, 66, 87)),
    (208, (250, 145, 70)),
    (255, (252, 236, 170)),
)
"""Levels and their colours, red, green and blue; between them colours change evenly. The
script of the page uses the same."""

CONTRAST = 85
"""Minimum range of levels between dark and bright: 51 dB."""


def palette(low: int = 0, high: int = 255) -> bytes:
    """Return 256 colours of three bytes each, darkest up to `low`, brightest from `high`."""
    levels, colours = zip(*STOPS, strict=True)
    places = (np.arange(256) - low) * (255 / max(1, high - low))
    channels = [
        np.interp(places, levels, [colour[i] for colour in colours]) for i in range(3)
    ]
    return bytes(np.rint(np.stack(channels, axis=1)).astype(np.uint8))


def write_png(levels: Levels, *, text: dict[str, str] | None = None) -> bytes:
    """Return a picture, time to the right and low bands at the bottom.

    Parameters
    ----------
    levels : uint8 (n_columns, n_bands)
        Not empty.
    text : dict of str or None
        Texts (Latin-1) to include.

    Examples
    --------
    >>> picture = write_png(np.arange(6, dtype=np.uint8).reshape(3, 2))
    >>> picture[12:16], struct.unpack(">II", picture[16:24])
    (b'IHDR', (3, 2))
    """
    rows = np.ascontiguousarray(levels.T[::-1])
    height, width = rows.shape
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    words = b"".join(
        _chunk(b"tEXt", name.encode("latin-1") + b"\0" + value.encode("latin-1"))
        for name, value in (text or {}).items()
    )
    return b"".join(
        [
            SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette(*contrast(levels))),
            words,
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def contrast(levels: Levels) -> tuple[int, int]:
    """Return the levels that are drawn darkest and brightest, at least `CONTRAST` apart."""
    low, high = np.percentile(levels, (30, 99.7))
    return round(min(low, high - CONTRAST)), round(high)


def read_text(png: bytes) -> dict[str, str]:
    """Return the texts in a picture; empty if it is not a PNG."""
    found: dict[str, str] = {}
    place = len(SIGNATURE)
    while place + 8 <= len(png) and png.startswith(SIGNATURE):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        if kind == b"tEXt" and b"\0" in body:
            name, value = body.split(b"\0", 1)
            found[name.decode("latin-1")] = value.decode("latin-1")
        place += length + 12
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
