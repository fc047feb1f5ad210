"""The command line of ffmpeg that reads a network address and writes samples to a pipe.

Only the protocols that a scheme needs are allowed: a playlist cannot make ffmpeg read a
file. The source's `ffmpeg_args` come last before the input, so they take precedence.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from urllib.parse import urlsplit

from streamsed.serve.settings import SourceSettings

TIMEOUT = 10.0
"""Seconds without an answer from the network after which ffmpeg gives up."""

PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls,crypto,hls",
    "https": "http,https,httpproxy,tcp,tls,crypto,hls",
}
"""Protocols that ffmpeg may use for addresses of each scheme."""

REMEDY = "install ffmpeg (`apt install ffmpeg`)"

PERMANENT = (
    (r"401 Unauthorized|403 Forbidden", "wrong user or password; correct its url"),
    (r"404 Not Found|404 Stream Not Found", "nothing at this path; correct its url"),
    (
        r"does not contain any stream|matches no streams|Stream map .* matches no",
        "no audio stream; choose a stream with audio",
    ),
    (r"Protocol not found|not on whitelist", "the stream uses a protocol that is not allowed"),
    (r"Unrecognized option|Option .* not found|Error splitting the argument list",
     "ffmpeg does not know one of the ffmpeg_args"),
)  # fmt: skip
"""Permanent errors of ffmpeg, and the messages for them."""


@functools.cache
def ffmpeg_version(program: str) -> int:
    """Return the major version of ffmpeg; 99 for a development build.

    Raises
    ------
    OSError, subprocess.SubprocessError
        ffmpeg cannot be started, or does not answer.
    """
    run = subprocess.run(
        [program, "-version"], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.match(r"ffmpeg version n?(\d+)\.", run.stdout)
    return int(found[1]) if found else 99


def ffmpeg_command(
    source: SourceSettings, *, sample_rate: int, audio_only: bool
) -> list[str]:
    """Return the command line for a source.

    Parameters
    ----------
    source : SourceSettings
        Source with a network address.
    sample_rate : int
        Hz of the output: float32, little-endian, mono.
    audio_only : bool
        Whether to request only audio from an RTSP server. Cameras allow few video
        sessions; some do not support the request.

    Raises
    ------
    FileNotFoundError
        ffmpeg is not installed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise FileNotFoundError(f"ffmpeg not found; {REMEDY}")
    scheme = urlsplit(source.url).scheme
    microseconds = str(round(TIMEOUT * 1e6))
    command = [
        program,
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "error",
        "-threads",
        "1",
    ]
    command += ["-protocol_whitelist", PROTOCOLS[scheme]]
    if scheme.startswith("rtsp"):
        named = "-timeout" if ffmpeg_version(program) >= 5 else "-stimeout"
        command += ["-rtsp_transport", "tcp", named, microseconds]
        command += ["-allowed_media_types", "audio"] if audio_only else []
    else:
        command += ["-rw_timeout", microseconds]
    command += [*source.ffmpeg_args, "-i", source.url, "-vn", "-sn", "-dn"]
    # The coefficients of a downmix must add up to 1: by default ffmpeg leaves those of
    # floating-point samples at √½ each, a gain of 3 dB for equal channels.
    mix = "aresample=rematrix_maxval=1"
    if source.channel is not None:
        mix = f"pan=mono|c0=c{source.channel - 1}"
    command += ["-af", mix]
    output = ["-ac", "1", "-ar", str(sample_rate), "-f", "f32le"]
    return [*command, *output, "-flush_packets", "1", "pipe:1"]


def explain_ending(stderr: str) -> tuple[str, bool]:
    """Return a message for ffmpeg's last output, and whether the error is permanent."""
    for pattern, meaning in PERMANENT:
        if re.search(pattern, stderr):
            return meaning, True
    plain = re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] *", "", stderr)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return (f"ffmpeg: {lines[-1][:200]}" if lines else "the stream ended"), False
