"""Outputs of `listen` besides the terminal or pipe: log, clips and commands."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from streamsed.inference.model_file import ModelInfo
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.exec_sink import STATES, ExecSink
from streamsed.live.sinks.log_file import LogFile, Rotation
from streamsed.live.sinks.sink import Sink
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.terminal import reason_of

MOST = 1e9
"""Largest number of seconds, days or MB: thirty years in seconds."""


@dataclass(frozen=True, slots=True)
class LiveOutputs:
    """What is written, saved and run for events.

    Parameters
    ----------
    log : Path or None
        File to append JSON lines to.
    log_rotate : str or None
        When to start a new log; see `Rotation.parse`.
    command : str or None
        Command to run for events.
    exec_on : str
        States for which to run it, separated by commas.
    cooldown, exec_timeout : float
        Seconds; see `ExecSink`.
    save_clips : Path or None
        Folder for the sound of each event.
    clips_limit : float
        Maximum size of all clips in the folder, in MB.
    clips_days : float or None
        Days after which clips are deleted.
    save_speech : bool
        Whether clips with speech are saved too.
    """

    log: Path | None = None
    log_rotate: str | None = None
    command: str | None = None
    exec_on: str = "opened"
    cooldown: float = 0.0
    exec_timeout: float = 10.0
    save_clips: Path | None = None
    clips_limit: float = 1000.0
    clips_days: float | None = None
    save_speech: bool = False

    def check(self) -> None:
        """Check the settings before anything is opened; raise ValueError."""
        self._words()
        self._states()
        self._rotation()
        for name, value, unit in (
            ("--clips-limit", self.clips_limit, "MB"),
            ("--clips-days", self.clips_days, "days"),
            ("--exec-timeout", self.exec_timeout, "seconds"),
        ):
            if value is not None and not 0 < value <= MOST:
                raise ValueError(
                    f"{name} must be positive, and at most {MOST:.0e} (in {unit}), not {value}"
                )
        if not 0 <= self.cooldown <= MOST:
            raise ValueError(
                f"--cooldown must be from 0 to {MOST:.0e} (in seconds), not {self.cooldown}"
            )

    def guard(self, info: ModelInfo) -> SpeechGuard | None:
        """Return the guard that excludes speech, if clips are saved without it."""
        if self.save_clips is None or self.save_speech:
            return None
        return SpeechGuard(info)

    def open(self, sample_rate: int, guard: SpeechGuard | None) -> list[Sink]:
        """Open all sinks.

        Raises
        ------
        OSError
            The log cannot be opened, or the folder of clips cannot be created.
        """
        sinks: list[Sink] = []
        command = None
        if words := self._words():
            command = ExecSink(
                words,
                timeout=self.exec_timeout,
                on=self._states(),
                cooldown=self.cooldown,
                with_clips=self.save_clips is not None,
            )
        if self.save_clips is not None:  # first, because the command waits for clips
            folder = ClipFolder(
                self.save_clips,
                max_bytes=round(self.clips_limit * 1e6),
                max_days=self.clips_days,
            )
            clips = ClipSink(
                folder,
                sample_rate=sample_rate,
                guard=guard,
                on_saved=None if command is None else command.on_clip,
            )
            sinks += [clips, folder]
        if command is not None:
            sinks.append(command)
        if self.log is not None:
            sinks.append(_open_log(self.log, self._rotation()))
        return sinks

    def _words(self) -> list[str]:
        """Split --exec as a shell would, and check that its program exists."""
        try:
            words = shlex.split(self.command or "")
        except ValueError as error:
            raise ValueError(
                f"--exec: {self.command!r} is not quoted as a shell needs it ({error})"
            ) from None
        if words and shutil.which(words[0]) is None:
            raise ValueError(f"--exec: {words[0]}: no such program")
        return words

    def _states(self) -> list[str]:
        states = [state.strip() for state in self.exec_on.split(",")]
        for state in states:
            if state not in STATES:
                raise ValueError(
                    f"--exec-on must be one or more of {', '.join(STATES)}, not {self.exec_on!r}"
                )
        return states

    def _rotation(self) -> Rotation | None:
        if self.log_rotate is None:
            return None
        if self.log is None:
            raise ValueError("--log-rotate needs --log")
        return Rotation.parse(self.log_rotate)


def _open_log(path: Path, rotation: Rotation | None) -> LogFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"--log: cannot create the folder {path.parent} ({reason_of(error)})"
        ) from error
    try:
        return LogFile(path, rotation=rotation)
    except OSError as error:
        raise OSError(f"--log: cannot open {path} ({reason_of(error)})") from error
    except ValueError as error:
        raise ValueError(f"--log: {error}") from None
