"""Check that a recording is complete, by what its container states of its length.

libsndfile reads a truncated file without an error, and reports the stated length only in
its log. What can be checked depends on the container:

- wav, rf64, w64, aiff and flac state their exact length in the header, unless they were
  written into a pipe;
- the last page of an ogg or opus stream is marked as the last;
- an mp3 states its frames only in a Xing or Info tag, which most encoders write.
"""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

EXACT_FORMATS = frozenset({"WAV", "WAVEX", "W64", "RF64", "AIFF", "FLAC"})
"""Containers whose header states the exact length."""

OGG_PAGE = 65_307
"""Bytes of the longest possible page of an ogg file."""

MP3_SLACK = 4 * 1152
"""Samples by which mp3 decoders differ at the ends."""

_CUT = re.compile(
    r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE | re.ASCII
)
_DATA = {
    "RF64": (re.compile(r"^\s*Data size : (\d+)", re.MULTILINE | re.ASCII), 0),
    "W64": (re.compile(r"^data : (\d+)", re.MULTILINE | re.ASCII), 24),
}
"""Where the log states the bytes of data of 64-bit containers, and of their headers."""
_BLOCK_ALIGN = re.compile(r"^\s*Block Align\s*: (\d+)", re.MULTILINE | re.ASCII)
_NO_END = re.compile(r"lacks an end-of-stream bit|without an End-Of-Stream flag")


def stated_frames(sound: soundfile.SoundFile, path: Path) -> int:
    """Return the stated number of samples per channel, 0 if there is none."""
    n_frames = int(sound.frames)
    if n_frames < 0 or n_frames > 1 << 62:
        return 0
    if sound.format == "MP3":
        return max(0, n_frames - MP3_SLACK) if _has_xing_tag(path) else 0
    if sound.format not in EXACT_FORMATS:
        return 0
    log = sound.extra_info
    if sound.format in _DATA:
        pattern, header = _DATA[sound.format]
        data, align = pattern.search(log), _BLOCK_ALIGN.search(log)
        if data and align and int(align[1]):
            return max(n_frames, (int(data[1]) - header) // int(align[1]))
    if (sizes := _CUT.search(log)) is not None:
        stated, there = map(int, sizes.groups())
        if 0 < there < stated and not _means_unknown(stated):
            return stated * n_frames // there
    return n_frames


def lacks_end(sound: soundfile.SoundFile, path: Path) -> bool:
    """Return whether an ogg or opus stream lacks its end-of-stream flag.

    libsndfile also reports this for a short last page that has the flag, so check the page.
    """
    suspect = sound.format == "OGG" and _NO_END.search(sound.extra_info) is not None
    return suspect and not _last_page_is_marked(path)


def _last_page_is_marked(path: Path) -> bool:
    """Whether the last page of an ogg file is complete and has the end-of-stream flag."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - OGG_PAGE))
        tail = stream.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & 4:
        return False
    sizes = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(sizes)


def _means_unknown(size: int) -> bool:
    """Whether a wav's size is a placeholder of programs that do not know it."""
    return size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80010000


def _has_xing_tag(path: Path) -> bool:
    """Whether an mp3's first frame states the number of frames."""
    with path.open("rb") as stream:
        head = stream.read(10)
        if head[:3] == b"ID3" and len(head) == 10:  # its size has 7 bits in a byte
            size = sum(byte << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
            stream.seek(10 + size)
        else:
            stream.seek(0)
        first = stream.read(4096)
    return b"Xing" in first[:512] or b"Info" in first[:512]
