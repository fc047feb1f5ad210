"""Open the reader for each kind of source."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from streamsed.audio.pcm import PcmDecoder
from streamsed.serve.settings import SourceSettings
from streamsed.serve.sources.address import redacted, scrubbed
from streamsed.serve.sources.captured import BlockDecoder, capture_command
from streamsed.serve.sources.child import Child
from streamsed.serve.sources.feed import Decoder, Feed, PipeFeed, RecordingFeed, is_fifo
from streamsed.serve.sources.ffmpeg import TIMEOUT, explain_ending, ffmpeg_command
from streamsed.serve.sources.pcm_feed import PcmPieces
from streamsed.serve.sources.supervised import SupervisedSource, Unavailable

DEADLINE = TIMEOUT + 5.0
"""Seconds without data after which ffmpeg is stopped; its own timeout is shorter."""

CAPTURE_DEADLINE = 10.0
"""Seconds without a block after which the process of a microphone is stopped."""

RADIO_LEAD = 5.0
"""Seconds of sound that a server may deliver ahead of real time."""

ALL_MEDIA_AFTER = 2
"""Failures in a row after which every other attempt requests all media of an RTSP server."""


def open_source(settings: SourceSettings, *, sample_rate: int) -> SupervisedSource:
    """Start to read a source, which need not be available yet.

    Parameters
    ----------
    settings : SourceSettings
        The source.
    sample_rate : int
        Hz of the pieces.
    """
    scheme = urlsplit(settings.url).scheme

    @cache
    def standard_input() -> PcmPieces:
        """Return its decoder: the same for every attempt, since it cannot begin again."""
        return _pcm(settings, sample_rate, "standard input")

    def feed(n_failures: int) -> tuple[Feed, Decoder]:
        if settings.device:
            return _microphone(settings, sample_rate)
        if scheme == "stdin":
            return PipeFeed(None), standard_input()
        if scheme == "file":
            return _path(settings, sample_rate)
        return _network(settings, sample_rate, n_failures)

    def explain(output: str) -> tuple[str, bool]:
        if settings.device:
            last = output.strip().splitlines()[-1:] or [
                "the process that captures it ended"
            ]
            return last[0][:200], False
        why, permanent = explain_ending(scrubbed(output, settings.url))
        return why, permanent

    network = not settings.device and scheme not in ("file", "stdin")
    return SupervisedSource(
        settings.name,
        feed,
        explain=explain,
        sample_rate=sample_rate,
        live=not _is_recording(settings),
        checked=network,
    )


def address_of(settings: SourceSettings) -> str:
    """Return the address or device of a source, without credentials."""
    return settings.device or redacted(settings.url)


def _is_recording(settings: SourceSettings) -> bool:
    """Whether a source is a recording; False if its file does not exist yet."""
    if settings.device or urlsplit(settings.url).scheme != "file":
        return False
    try:
        return not is_fifo(_path_of(settings))
    except OSError:
        return False


def _path_of(settings: SourceSettings) -> Path:
    return Path(settings.url.removeprefix("file://"))


def _pcm(settings: SourceSettings, sample_rate: int, name: str) -> PcmPieces:
    decoder = PcmDecoder(
        settings.rate,
        settings.channels,
        settings.encoding,
        sample_rate=sample_rate,
        channel=settings.channel,
        name=name,
    )
    return PcmPieces(decoder)


def _path(settings: SourceSettings, sample_rate: int) -> tuple[Feed, Decoder]:
    path = _path_of(settings)
    if is_fifo(path):
        return PipeFeed(path), _pcm(settings, sample_rate, str(path))
    feed = RecordingFeed(path, sample_rate=sample_rate, loop=settings.loop)
    return feed, PcmPieces(PcmDecoder(sample_rate, 1, "f32", sample_rate=sample_rate))


def _microphone(settings: SourceSettings, sample_rate: int) -> tuple[Feed, Decoder]:
    command = capture_command(settings.device, settings.channel, sample_rate)
    return Child(command, deadline=CAPTURE_DEADLINE, burst=RADIO_LEAD), BlockDecoder()


def _network(
    settings: SourceSettings, sample_rate: int, n_failures: int
) -> tuple[Feed, Decoder]:
    audio_only = n_failures < ALL_MEDIA_AFTER or n_failures % 2 == 1
    try:
        command = ffmpeg_command(
            settings, sample_rate=sample_rate, audio_only=audio_only
        )
    except FileNotFoundError as error:
        raise Unavailable(str(error), permanent=True) from None
    feed = Child(command, deadline=DEADLINE, burst=RADIO_LEAD)
    decoder = PcmDecoder(
        sample_rate, 1, "f32", sample_rate=sample_rate, name=settings.name
    )
    return feed, PcmPieces(decoder)
