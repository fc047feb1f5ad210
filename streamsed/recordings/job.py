"""Run `streamsed file` with parsed options.

Options are checked before the model is loaded. Then the recordings are processed in order,
decoded and scored ahead in threads; a bad one is reported and the others continue. An
interruption ends the work between chunks; results so far are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from streamsed.detection_settings import DetectionSettings, stream_for
from streamsed.detector import Detector
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model
from streamsed.pipeline.trace import Trace
from streamsed.progress import Task, task
from streamsed.recordings.detection import (
    Detection,
    Recording,
    Scored,
    describe_error,
    detect,
    differs_in_chunks,
    extract_ahead,
    find_recordings,
)
from streamsed.recordings.outputs import Outputs
from streamsed.terminal import counted, print_message

CHECK_SEED = 1
"""Seed of the random chunks of `--check-stream`; any other works as well."""


@dataclass
class FileJob:
    """Detect events in recordings and write the results.

    Parameters
    ----------
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    step, latency, settle : float or None
        Seconds, in ascending order; None uses the model's setting.
    detection : DetectionSettings
        How scores become events, and which labels are reported.
    outputs : Outputs
        Where to write the results.
    check_stream : bool
        Whether to push each recording again in random chunks and compare.
    sha256 : str or None
        Required SHA-256 of the model file.
    """

    model: str
    engine: Mapping[str, Any]
    step: float | None
    latency: float | None
    settle: float | None
    detection: DetectionSettings
    outputs: Outputs
    check_stream: bool
    sha256: str | None = None
    _n_done: int = field(default=0, init=False)
    _n_failed: int = field(default=0, init=False)
    _interrupted: bool = field(default=False, init=False)

    def run(self, paths: Sequence[Path], *, recursive: bool) -> int:
        """Run and return the exit code (see `streamsed.cli.file`)."""
        recordings, errors = find_recordings(paths, recursive=recursive)
        for error in errors:
            self._failed(error)
        if recordings:
            self.outputs.check(recordings)
            detector = self._detector()
            detections = self._detections(detector, recordings)
            first = next(detections, None)
            if first is not None:  # otherwise do not touch existing outputs
                about = {"model_sha256": detector.model.sha256}
                self.outputs.write_events(chain([first], detections), about)
        if self._interrupted:
            return 130
        return min(1, self._n_failed) if self._n_done else 2

    def _detector(self) -> Detector:
        file = ModelFile.open(find_model(self.model), sha256=self.sha256)
        info = file.info
        stream = stream_for(
            info, step=self.step, latency=self.latency, settle=self.settle
        )
        post = self.detection.post_for(info, settle=stream.settled)
        self.detection.reported(info.labels)
        model = Model.load(file, **self.engine)
        return Detector(model, stream=stream, post=post)

    def _detections(
        self, detector: Detector, recordings: Sequence[Recording]
    ) -> Iterator[Detection]:
        """Yield the results of the recordings; report errors and continue."""
        total = sum(recording.duration for recording in recordings)
        n_parallel = detector.model.n_parallel
        with (
            task("detecting", total, "s of audio") as detecting,
            extract_ahead(detector, recordings, n_parallel=n_parallel) as turns,
        ):
            try:
                for recording, extracted in turns:
                    try:
                        found = self._one(detector, recording, extracted, detecting)
                    except Exception as error:  # noqa: BLE001 - a bad file must not stop the others
                        self._failed(describe_error(error, recording.path))
                        continue
                    self._n_done += 1
                    yield found
            except KeyboardInterrupt:
                self._interrupted = True
                done = f"{self._n_done} of {counted(len(recordings), 'recording')}"
                print_message(f"interrupted after {done}")

    def _one(
        self,
        detector: Detector,
        recording: Recording,
        extracted: Iterable[Scored],
        detecting: Task,
    ) -> Detection:
        trace = None
        if self.outputs.needs_trace:
            trace = self._new_trace(detector)
        rate, n_samples = detector.sample_rate, 0

        def advance(n: int) -> None:
            nonlocal n_samples
            n_samples += n
            self._check_duration(recording, n_samples / rate)  # headers may be wrong
            detecting.advance(n / rate, recording.name)

        self._check_duration(recording, recording.duration)
        found = detect(detector, recording, extracted, trace=trace, on_samples=advance)
        if self.check_stream:
            self._check_stream(detector, found)
        reported = self.detection.reported(detector.model.info.labels)
        kept = [event for event in found.events if event.label in reported]
        found = replace(found, events=kept)
        self.outputs.write_trace(
            found, detector.model.info, sha256=detector.model.sha256
        )
        return found

    def _new_trace(self, detector: Detector) -> Trace:
        """Return a trace for the part that is plotted."""
        picture, frontend = self.outputs.picture, detector.model.info.frontend
        if self.outputs.plot is None:
            return Trace()
        length, rate = frontend.score_frame_length, frontend.sample_rate
        first = int(picture.start * rate / length) * frontend.subsampling
        last = None
        if picture.stop is not None:
            last = math.ceil(picture.stop * rate / length) * frontend.subsampling
        return Trace(keep_frames=True, first_frame=first, last_frame=last)

    def _check_duration(self, recording: Recording, duration: float) -> None:
        """Raise ValueError if a recording is too long for a plot."""
        if self.outputs.plot is not None:
            try:
                self.outputs.picture.check(duration)
            except ValueError as error:
                raise ValueError(f"{recording.path}: {error}") from None

    def _check_stream(self, detector: Detector, found: Detection) -> None:
        n_chunks, different = differs_in_chunks(detector, found, seed=CHECK_SEED)
        name, n_events = found.recording.name, len(found.events)
        if different:
            raise ValueError(
                f"{name}: events differ in {n_chunks} random chunks (seed {CHECK_SEED}); "
                f"the first is {different[0]}; please report this"
            )
        print_message(
            f"{name}: the same {counted(n_events, 'event')} in {n_chunks} random chunks"
        )

    def _failed(self, message: str) -> None:
        print_message(f"error: {message}")
        self._n_failed += 1
