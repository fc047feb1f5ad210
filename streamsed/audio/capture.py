"""One open stream of a microphone.

The audio callback only copies samples into a `Ring` and counts them; it never blocks. The
reader waits for a number of samples and is woken once they have arrived.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.devices import Device, capture_rate, portaudio, quiet
from streamsed.audio.ring_buffer import Ring
from streamsed.audio.sound_server import CHOICE
from streamsed.terminal import counted

SILENCE_LIMIT = 2.0
"""Seconds without a callback after which the device is considered lost."""

START_LIMIT = 5.0
"""Seconds that a device may take until its first callback."""

RING_DURATION = 30.0
"""Seconds of sound that are buffered while the program is busy."""


class Capture:
    """An open input stream of a device, buffered in a ring.

    Parameters
    ----------
    device : Device
        Device to open, at its default rate if possible.
    n_channels : int
        Channels to open.
    block_size : int
        Samples per callback; 0 leaves it to PortAudio.

    Raises
    ------
    OSError
        The device does not open.
    """

    def __init__(self, device: Device, *, n_channels: int, block_size: int) -> None:
        sounddevice = portaudio()
        self.rate = capture_rate(device)
        self.ring = Ring(round(RING_DURATION * self.rate), n_channels)
        self.overflows: deque[tuple[int, int]] = deque(maxlen=1024)
        """(position, missing): samples that the driver dropped before a position."""
        self.last_callback = time.monotonic()
        self.began = 0.0  # when the first sample was recorded
        self._expected = 0.0  # driver's time of the next block
        self._excused = 0.0
        self._n_wanted = 0  # samples that the reader waits for
        self._enough = threading.Lock()  # acquired until they have arrived
        self._enough.acquire()
        try:
            with quiet(), _recording(device.source):
                self._stream = sounddevice.InputStream(
                    device=device.index,
                    channels=n_channels,
                    samplerate=self.rate,
                    blocksize=block_size,
                    dtype="float32",
                    callback=self._take,
                )
                self._stream.start()
        except sounddevice.PortAudioError as error:
            raise OSError(
                f"--device {device.index} ({device.name}) does not open at {self.rate} Hz "
                f"with {counted(n_channels, 'channel')} ({error}); see `streamsed devices`"
            ) from error

    @property
    def lost(self) -> bool:
        """Whether the stream ended by itself or has been silent for too long."""
        limit = SILENCE_LIMIT if self.ring.n_written else START_LIMIT
        late = time.monotonic() - max(self.last_callback, self._excused) > limit
        return late or not self._stream.active

    def wait(self, n_samples: int, timeout: float) -> None:
        """Return once the ring has `n_samples` per channel, or after `timeout`."""
        end = time.monotonic() + timeout
        self._n_wanted = n_samples
        while self.ring.n_waiting < n_samples:
            left = end - time.monotonic()
            if left <= 0 or not self._enough.acquire(timeout=left):
                return

    def excuse(self) -> None:
        """Restart the time-out of callbacks after the program itself was paused."""
        self._excused = time.monotonic()

    def close(self) -> None:
        """Close the stream, whatever its state."""
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _take(
        self, block: NDArray[np.float32], n_samples: int, clock: Any, status: Any
    ) -> None:
        """Copy and count samples; runs in the audio thread."""
        start = clock.inputBufferAdcTime
        if status.input_overflow and self.ring.n_written:
            missing = round((start - self._expected) * self.rate)
            self.overflows.append((self.ring.n_written, max(0, missing)))
        self._expected = start + n_samples / self.rate
        now = time.monotonic()
        if not self.ring.n_written:
            self.began = now - n_samples / self.rate
        self.ring.write(block)
        if self.ring.n_waiting >= self._n_wanted and self._enough.locked():
            self._enough.release()  # only this thread does, so it never fails
        self.last_callback = now


@contextmanager
def _recording(source: str) -> Iterator[None]:
    """Make a stream that is opened in this context record this source of the server."""
    before = os.environ.get(CHOICE)
    if source:
        os.environ[CHOICE] = source
    try:
        yield
    finally:
        if source:
            os.environ.pop(CHOICE)
            if before is not None:
                os.environ[CHOICE] = before
