"""Capture a microphone in a separate process.

PortAudio finds a reconnected device only after all streams of the process are closed. So
that one microphone does not interrupt the others, each has a process of its own, which
runs `Microphone` and writes its samples in blocks::

    block   kind (1 byte)  n (4 bytes)  peak (4 bytes, float)  length of text (2 bytes)
            text (UTF-8)   n samples, float32, of SAMPLES

Lost sound is passed on as the exact number of missing samples. While the device cannot be
opened, a TROUBLE block is written every second and it is tried again.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Sequence

import numpy as np

from streamsed.audio.devices import find_device, quiet, rescan
from streamsed.audio.microphone import Microphone
from streamsed.audio.source import Piece
from streamsed.serve.sources.moved import PlacementWatch

HEADER = struct.Struct("<BIfH")
SAMPLES, MISSING, TROUBLE, NOTICE = range(4)
RETRY = 1.0
"""Seconds between two attempts to open the device; maximum between two blocks."""

READ_EVERY = 0.1
"""Seconds between two blocks."""

MAX_SAMPLES = 1 << 24
"""Maximum number of samples in a block."""


def capture_command(device: str, channel: int | None, sample_rate: int) -> list[str]:
    """Return the command line of the process that captures a device."""
    words = [device, str(channel or 0), str(sample_rate)]
    return [sys.executable, "-m", "streamsed.serve.sources.captured", *words]


class BlockDecoder:
    """Decode blocks to pieces: a `Decoder`."""

    def __init__(self) -> None:
        self.trouble = ""
        self.notices: list[str] = []
        self._rest = b""

    def push(self, data: bytes) -> list[Piece]:
        """Decode the next bytes, of any length.

        Raises
        ------
        ValueError
            They are not blocks.
        """
        held = self._rest + data
        pieces = []
        at = 0
        while at + HEADER.size <= len(held):
            kind, n_samples, peak, length = HEADER.unpack_from(held, at)
            n_present = n_samples if kind == SAMPLES else 0
            text_at = at + HEADER.size
            end = text_at + length + 4 * n_present
            if kind > NOTICE or n_samples > MAX_SAMPLES:
                raise ValueError(
                    "invalid data from the process that captures the microphone"
                )
            if end > len(held):
                break
            text = held[text_at : text_at + length].decode(errors="replace")
            at = end
            if kind in (SAMPLES, MISSING):
                samples = np.zeros(n_samples, dtype=np.float32)
                if kind == SAMPLES:
                    samples[:] = np.frombuffer(held[text_at + length : end], "<f4")
                pieces.append(Piece(samples, text, peak))
                self.trouble = ""
            elif kind == TROUBLE:
                self.trouble = text
            else:
                self.notices.append(text)
        self._rest = held[at:]
        return pieces


def encoded(kind: int, n_samples: int, peak: float, text: str, data: bytes) -> bytes:
    """Return a block."""
    words = text.encode()[:60_000]
    return HEADER.pack(kind, n_samples, peak, len(words)) + words + data


def main(arguments: Sequence[str]) -> None:
    """Capture a device until the pipe is closed or the process is stopped."""
    device, channel, sample_rate = arguments
    out = sys.stdout.fileno()
    while True:
        try:
            found = find_device(device)
            microphone = Microphone(
                device, sample_rate=int(sample_rate), channel=int(channel) or None
            )
        except (OSError, ValueError) as error:
            trouble = str(error)
        else:
            trouble = _pass_on(microphone, found.source, int(sample_rate), out)
        _write(out, encoded(TROUBLE, 0, 0.0, trouble, b""))
        time.sleep(RETRY)
        _rescan()


def _pass_on(microphone: Microphone, source: str, sample_rate: int, out: int) -> str:
    """Write the samples of a microphone, until the sound server records another one."""
    watch = PlacementWatch(source) if source else None
    try:
        while watch is None or not watch.moved_to:
            pieces = microphone.read() or []
            for notice in microphone.notices():
                _write(out, encoded(NOTICE, 0, 0.0, notice, b""))
            for piece in pieces:
                kind = MISSING if piece.missing else SAMPLES
                data = b"" if piece.missing else piece.samples.astype("<f4").tobytes()
                n_samples = len(piece.samples)
                _write(out, encoded(kind, n_samples, piece.peak, piece.missing, data))
            microphone.wait(int(READ_EVERY * sample_rate), RETRY)
        return (
            f"{source} is disconnected; the sound server would record {watch.moved_to}"
        )
    finally:
        microphone.close()
        if watch is not None:
            watch.close()


def _rescan() -> None:
    """Update the list of devices, if the system can."""
    try:
        rescan()
    except OSError:
        return


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    try:
        with quiet():
            main(sys.argv[1:])
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the reader has exited
