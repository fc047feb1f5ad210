"""A microphone that accounts for lost samples and is reopened after it was unplugged.

The reader of a `Capture`, `Microphone.read`, detects everything that can go wrong:

- the program was too slow and the ring overwrote unread samples: their number is known;
- PortAudio reports an overflow: the driver's clock says how many samples are missing;
- the driver lost sound silently: the time line falls behind the clock, see
  `ClockDrift`;
- the stream ended, or no callback came for `SILENCE_LIMIT`: the device is lost. The
  reader tries to reopen it by name at increasing intervals; until then the time line
  continues with missing samples, counted by the clock.
"""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from streamsed.audio.capture import SILENCE_LIMIT, Capture
from streamsed.audio.clock_drift import ClockDrift
from streamsed.audio.devices import (
    SERVER_DEVICES,
    Device,
    find_again,
    find_device,
    rescan,
)
from streamsed.audio.resample import ChannelResampler
from streamsed.audio.sound_server import SourceWatch
from streamsed.audio.source import Piece
from streamsed.samples import peak_of

RETRIES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to reopen a lost device; the last is repeated."""

BRIDGE_MARGIN = 0.5
"""Seconds that the time line stays behind the clock while a device is lost, so that the
first block of a reopened device is never older than the end of the time line."""

BRIDGE_LIMIT = 10.0
"""Longest piece of missing sound in seconds, which bounds the memory."""

ZEROS_LIMIT = 5.0
"""Seconds of zeros after which a notice says that the microphone sends no sound."""


class Microphone:
    """Record from a device; lost samples are replaced by zeros and reported.

    Parameters
    ----------
    wanted : str or None
        Index or name; see `find_device`.
    sample_rate : int
        Hz of the samples that `read` returns.
    channel : int or None
        Counted from 1; None mixes down the first two.
    block_size : int
        Samples per callback; 0 leaves it to PortAudio.

    Raises
    ------
    OSError
        PortAudio is missing, or the device does not open.
    ValueError
        There is no such device or channel.
    """

    lossless = False

    def __init__(
        self,
        wanted: str | None,
        *,
        sample_rate: int,
        channel: int | None = None,
        block_size: int = 0,
    ) -> None:
        device = find_device(wanted)
        if channel is not None and not 1 <= channel <= device.n_channels:
            raise ValueError(
                f"--channel must be from 1 to {device.n_channels} for {device.name}, "
                f"not {channel}"
            )
        self.name = device.name
        self._device = device
        self._sample_rate = sample_rate
        self._channel = channel
        self._block_size = block_size
        self._notices: list[str] = []
        by_server = device.source or device.name in SERVER_DEVICES
        self._watch = SourceWatch() if by_server else None
        self._zeros = 0  # samples since the last nonzero one
        self._accounted: float | None = None  # while lost: the time line ends here
        self._attempts = 0
        self._next_attempt = 0.0
        self._capture: Capture | None = None
        self._asked = time.monotonic()
        self._open(device)

    def read(self) -> list[Piece] | None:
        """Return what was recorded or lost since the last call; never ends."""
        now = time.monotonic()
        away, self._asked = now - self._asked > SILENCE_LIMIT / 2, now
        if self._capture is None:
            self._try_again()
        pieces = [] if self._accounted is None else self._bridge(self._accounted)
        if self._capture is not None and self._accounted is None:
            pieces += self._drain(self._capture)
        if self._capture is not None and away:
            self._capture.excuse()
        if self._capture is not None and self._capture.lost:
            pieces += self._lose(self._capture)
        return [piece for piece in pieces if len(piece.samples)]

    def wait(self, n_samples: int, timeout: float) -> None:
        """Wait until `n_samples` more can be read."""
        if self._capture is None:
            time.sleep(timeout)
        else:
            n_captured = -(-n_samples * self.capture_rate // self._sample_rate)
            self._capture.wait(n_captured, timeout)

    def notices(self) -> list[str]:
        """Return new messages about the device, each once."""
        notices, self._notices = self._notices, []
        return notices + (self._watch.notices() if self._watch else [])

    def close(self) -> None:
        """Close the device."""
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    def _open(self, device: Device) -> None:
        n_channels = self._channel or min(2, device.n_channels)
        self._capture = Capture(
            device, n_channels=n_channels, block_size=self._block_size
        )
        self._device = device
        self.capture_rate = self._capture.rate
        self._resampler = ChannelResampler(
            self.capture_rate, self._sample_rate, channel=self._channel
        )
        self._drift = ClockDrift(self.capture_rate)
        self._n_read = 0  # samples of this capture, the positions of its overflows
        self._n_missing = 0  # samples lost by this capture
        self._zeros = 0

    def _drain(self, capture: Capture) -> list[Piece]:
        """Read the whole ring, with zeros in place of missing samples."""
        samples, n_overwritten = capture.ring.read()
        pieces = []
        if n_overwritten:
            pieces.append(self._missing(n_overwritten, "the program was too slow"))
        self._n_read += n_overwritten
        while capture.overflows and capture.overflows[0][0] <= self._n_read + len(
            samples
        ):
            position, n_missing = capture.overflows.popleft()
            before = max(0, position - self._n_read)
            pieces.append(self._recorded(samples[:before]))
            samples = samples[before:]
            self._n_read += before
            if n_missing:
                pieces.append(self._missing(n_missing, "the driver overflowed"))
                self._n_missing += n_missing
        pieces.append(self._recorded(samples))
        self._n_read += len(samples)
        n_accounted = self._n_read + self._n_missing
        clock = capture.last_callback
        if n_accounted and (n_missing := self._drift.n_missing(n_accounted, clock)):
            pieces.append(self._missing(n_missing, "the driver lost it"))
            self._n_missing += n_missing
        return pieces

    def _recorded(self, block: NDArray[np.float32]) -> Piece:
        peak = peak_of(block)
        limit = ZEROS_LIMIT * self.capture_rate
        if peak > 0:
            if self._zeros > limit:
                self._notices.append(f"{self.name} sends sound again")
            self._zeros = 0
        else:
            before, self._zeros = self._zeros, self._zeros + len(block)
            if before <= limit < self._zeros:
                self._notices.append(
                    f"{self.name} sends only zeros; is it muted or unplugged, or is access denied?"
                )
        return Piece(self._resampler.push(block), peak=peak)

    def _missing(self, n_samples: int, reason: str) -> Piece:
        """Return zeros in place of lost samples, through the same resampler."""
        n_channels = self._channel or 1
        zeros = np.zeros((n_samples, n_channels), dtype=np.float32)
        return Piece(self._resampler.push(zeros), missing=reason)

    def _lose(self, capture: Capture) -> list[Piece]:
        """Close a lost device; return its last samples."""
        capture.close()
        self._capture = None
        self._next_attempt = time.monotonic() + self._delay()
        if self._accounted is not None:
            return []  # it was not reopened yet
        self._accounted = capture.last_callback
        self._notices.append(f"{self.name} is lost; trying to open it again")
        self._attempts = 0
        return [*self._drain(capture), Piece(self._resampler.flush())]

    def _try_again(self) -> None:
        if time.monotonic() < self._next_attempt:
            return
        self._attempts += 1
        self._next_attempt = time.monotonic() + self._delay()
        with suppress(OSError, ValueError):  # until it is back; the loss was reported
            rescan()
            self._open(find_again(self._device))

    def _delay(self) -> float:
        return RETRIES[min(self._attempts, len(RETRIES) - 1)]

    def _bridge(self, accounted: float) -> list[Piece]:
        """Return zeros for the time from the loss to the first sample after it."""
        capture = self._capture
        back = capture is not None and capture.ring.n_written > 0
        until = time.monotonic() - BRIDGE_MARGIN
        if capture is not None and back:
            until = capture.began
        seconds = min(max(0.0, until - accounted), BRIDGE_LIMIT)
        n_missing = round(seconds * self._sample_rate)
        if back and seconds < BRIDGE_LIMIT:
            self._accounted = None
            self._notices.append(f"{self.name} is back")
        else:
            self._accounted = accounted + n_missing / self._sample_rate
        zeros = np.zeros(n_missing, dtype=np.float32)
        return [Piece(zeros, missing="the device was lost")]
