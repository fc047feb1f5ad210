"""What `streamsed calibrate` does, once its options are read."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamsed.atomic_write import check_not_read, check_writable, is_device, write
from streamsed.audio.devices import find_device
from streamsed.audio.microphone import Microphone
from streamsed.calibration.calibration import Calibration, table_rows
from streamsed.calibration.event_counts import EventCounts
from streamsed.calibration.listening import count_in_recordings, count_live
from streamsed.calibration.settings_text import settings_lines
from streamsed.calibration.threshold_levels import ThresholdLevels
from streamsed.config import StreamConfig
from streamsed.detection_settings import DetectionSettings, stream_for
from streamsed.detector import Detector
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.label_names import match_label
from streamsed.live.auto_step import MIN_STEP, segment_cost, shortest_step
from streamsed.live.job import LATENCY
from streamsed.recordings.detection import find_recordings
from streamsed.terminal import message_of, print_message, printable

MINUTES = 60.0
"""How long a room is listened to if nothing is said."""
MAX_MINUTES = 1_000_000
"""Nearly two years."""
MAX_FALSE = 1.0
"""Events an hour that are allowed if nothing is said."""


@dataclass(frozen=True, slots=True)
class CalibrationJob:
    """Listen to a room, choose thresholds for it and write them.

    Parameters
    ----------
    device, channel
        As `Microphone` takes them.
    minutes : float or None
        How long to listen live; None is `MINUTES`.
    max_false : float
        Events an hour that are allowed, of all labels together.
    output : Path or None
        The settings file; None prints it.
    overwrite : bool
        Whether `output` may be there already.
    model : str
        Name or path.
    sha256 : str or None
        What the model file's SHA-256 must be.
    engine : mapping
        Settings of `Model.load`.
    step, latency, settle : float or None
        Seconds, as `listen` takes them; a step of None is the shortest that `listen` takes
        too: for live sound that the machine sustains, for recordings `MIN_STEP`.
    sensitivity : str
        Whose thresholds are the lowest that are tried.
    keep, ignore : sequence of str
        Labels that keep the model's thresholds, and labels that are not reported.
    """

    device: str | None
    channel: int | None
    minutes: float | None
    max_false: float
    output: Path | None
    overwrite: bool
    model: str
    sha256: str | None
    engine: Mapping[str, Any]
    step: float | None
    latency: float | None
    settle: float | None
    sensitivity: str
    keep: Sequence[str]
    ignore: Sequence[str]

    def run(self, paths: Sequence[Path], *, recursive: bool) -> int:
        """Do it all and return the exit code (see `streamsed.cli.calibrate.command`)."""
        self._check(paths)
        recordings, errors = find_recordings(paths, recursive=recursive)
        for error in errors:
            print_message(f"error: {error}")
        if paths and not recordings:
            return 2
        check_not_read(self.output, [each.path for each in recordings])
        file = ModelFile.open(find_model(self.model), sha256=self.sha256)
        stream = self._stream(file.info, self.step or MIN_STEP)
        levels = self._levels(file.info, stream)
        if not paths:
            find_device(self.device)  # before the model is loaded, which takes seconds
        model = Model.load(file, **self.engine)
        counts = EventCounts(levels.names)
        n_failed, complete = len(errors), True
        if paths:
            failed, interrupted = count_in_recordings(
                levels.detector(model, stream),
                recordings,
                counts,
                n_parallel=model.n_parallel,
            )
            n_failed, complete = n_failed + failed, not interrupted
            recorded = recordings[0].name
            if len(recordings) > 1:
                recorded = f"{len(recordings)} recordings, the first {recorded}"
        else:
            stream = self._stream(file.info, self._sustained_step(model))
            recorded, complete = self._listen(levels.detector(model, stream), counts)
        if not counts.seconds:
            print_message("nothing was recorded, so nothing is written")
            return 2 if complete else 130
        written = self._deliver(levels, counts, stream, recorded, file)
        return 130 if not complete else min(1, n_failed + (not written))

    def _check(self, paths: Sequence[Path]) -> None:
        if not 0 <= self.max_false < math.inf:
            raise ValueError(
                f"--max-false must be a number of events an hour, at least 0, not "
                f"{self.max_false}"
            )
        if self.minutes is not None and not 0 < self.minutes <= MAX_MINUTES:
            raise ValueError(
                f"--minutes must be positive, and at most {MAX_MINUTES}, not {self.minutes}"
            )
        live = (self.device, self.channel, self.minutes)
        if paths and live != (None, None, None):
            raise ValueError(
                "--device, --channel and --minutes are for live sound, and recordings are "
                "given; choose one"
            )
        path = self.output
        if path is not None and path.exists() and not is_device(path):
            if path.is_dir():
                raise ValueError(f"--output: {path} is a folder; name a file")
            if not self.overwrite:
                raise ValueError(
                    f"--output: {path} exists; name another file, or give --overwrite"
                )
        if path is not None:
            check_writable(path, option="--output")

    def _stream(self, info: ModelInfo, step: float) -> StreamConfig:
        """Return the settings of `listen`: announced early, settled late."""
        settle = info.stream.settled if self.settle is None else self.settle
        latency = min(LATENCY, settle) if self.latency is None else self.latency
        if self.step is None:
            step = min(step, latency)
        return stream_for(info, step=step, latency=latency, settle=self.settle)

    def _sustained_step(self, model: Model) -> float:
        if self.step is not None:
            return self.step
        longest = self._stream(model.info, MIN_STEP).latency
        frontend = model.info.frontend
        return shortest_step(segment_cost(model), frontend, latency=longest)

    def _levels(self, info: ModelInfo, stream: StreamConfig) -> ThresholdLevels:
        detection = DetectionSettings(sensitivity=self.sensitivity, ignore=self.ignore)
        kept = {match_label(name, info.labels, option="--keep") for name in self.keep}
        labels = [each for each in detection.reported(info.labels) if each not in kept]
        if not labels:
            raise ValueError("--keep: no label is left to calibrate")
        post = detection.post_for(info, settle=stream.settled)
        return ThresholdLevels.above(info, post, labels)

    def _listen(self, detector: Detector, counts: EventCounts) -> tuple[str, bool]:
        """Listen live; return to what, and whether to the end."""
        minutes = MINUTES if self.minutes is None else self.minutes
        source = Microphone(
            self.device, sample_rate=detector.sample_rate, channel=self.channel
        )
        print_message(
            f"listening to {source.name} for {minutes:g} minutes; Ctrl-C stops and writes "
            "what was learnt by then"
        )
        complete = count_live(detector, source, counts, duration=60 * minutes)
        return source.name, complete

    def _deliver(
        self,
        levels: ThresholdLevels,
        counts: EventCounts,
        stream: StreamConfig,
        recorded: str,
        file: ModelFile,
    ) -> bool:
        """Write or print the settings; return whether they are where they should be."""
        calibration = Calibration.of(
            levels, counts, max_false=self.max_false, settle=stream.settled
        )
        if len(calibration.off) == len(levels.labels) and not self.keep:
            raise ValueError(
                "every label has more events at every threshold; allow more by "
                "--max-false, or name what really occurred by --keep"
            )
        labels = file.info.labels
        lines = [
            *settings_lines(
                calibration,
                heading=(
                    f"Thresholds by `streamsed calibrate`, {datetime.now():%Y-%m-%d %H:%M}",
                    f"for {recorded}",
                    f"model {file.info.name}, SHA-256 {file.sha256}",
                ),
                settings=self._settings(),
                ignored=[
                    match_label(each, labels, option="--ignore") for each in self.ignore
                ],
            )
        ]
        if self.output is None:
            sys.stdout.writelines(lines)
            return True
        try:
            write(self.output, lines)
        except OSError as error:  # an hour of listening is not thrown away
            print_message(f"error: {message_of(error)}; the settings are printed here:")
            sys.stdout.writelines(lines)
            return False
        self._print_table(calibration)
        return True

    def _settings(self) -> dict[str, str | float]:
        """Return the options that thresholds depend on, where they were given."""
        shipped = not Path(self.model).exists()
        settings: dict[str, str | float] = {
            "model": self.model if shipped else str(Path(self.model).resolve()),
            "sensitivity": self.sensitivity,
        }
        for name, value in (("latency", self.latency), ("settle", self.settle)):
            if value is not None:
                settings[name] = value
        return settings

    def _print_table(self, calibration: Calibration) -> None:
        table = Table(box=None, pad_edge=False)
        table.add_column("label", no_wrap=True)
        for head in ("threshold", "events an hour", "found"):
            table.add_column(head, justify="right")
        for row in table_rows(calibration.labels):
            table.add_row(*(Text(printable(cell)) for cell in row))
        console = Console(soft_wrap=True, highlight=False)
        console.print(table)
        for sentence in calibration.sentences():
            console.print(Text(printable(sentence)))
        console.print(
            Text(f"next: streamsed listen --settings {printable(str(self.output))}")
        )
