"""Run `streamsed listen` with parsed options.

The model is loaded and timed before the source is opened, so that no sound has to wait.
The first Ctrl-C, SIGTERM or SIGHUP stops listening and closes open events; the second one
ends the program at once.
"""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from streamsed.audio.devices import find_device, quiet
from streamsed.audio.microphone import Microphone
from streamsed.audio.pcm import PcmSource
from streamsed.audio.playback import FileSource
from streamsed.audio.source import Source
from streamsed.config import StreamConfig
from streamsed.detection_settings import DetectionSettings
from streamsed.detector import Detector
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.live.auto_step import segment_cost, shortest_step
from streamsed.live.listener import Listener
from streamsed.live.outputs import MOST, LiveOutputs
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.live.sinks.log_file import LogFile
from streamsed.live.sinks.sink import QueuedSink, Sink
from streamsed.live.summary import describe_failure, summary_table
from streamsed.live.view import LiveView
from streamsed.live.waiting import wait_for
from streamsed.terminal import check_stdout, percent, print_message, stdout_is_closed

LATENCY = 1.0
"""Default number of seconds after which the end of an event is reported."""


@dataclass(frozen=True, slots=True)
class ListenJob:
    """Listen to one source and report its events.

    Parameters
    ----------
    device, channel
        See `Microphone`.
    pcm : (rate, channels, encoding) or None
        Read standard input instead; see `PcmSource`.
    file : Path or None
        Play a recording instead; see `FileSource`.
    pace : float
        Factor of real time; 0 is as fast as possible.
    wait : bool
        Whether to wait for a microphone that is not connected.
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    step : str
        Seconds, or "auto" for the shortest step that the machine can keep up with.
    max_load : float
        Maximum load with an automatic step.
    latency, settle : float or None
        Seconds; None is `LATENCY` and the model's setting.
    detection : DetectionSettings
        How scores become events, and which labels are reported.
    duration : float or None
        Seconds to listen.
    format_name : str or None
        "view" or "jsonl"; None is the view on a terminal and jsonl elsewhere.
    outputs : LiveOutputs
        Log, clips and commands.
    sha256 : str or None
        Required SHA-256 of the model file.
    """

    device: str | None
    channel: int | None
    pcm: tuple[int, int, str] | None
    file: Path | None
    pace: float
    wait: bool
    model: str
    engine: Mapping[str, Any]
    step: str
    max_load: float
    latency: float | None
    settle: float | None
    detection: DetectionSettings
    duration: float | None
    format_name: str | None
    outputs: LiveOutputs
    sha256: str | None = None

    def run(self) -> int:
        """Run and return the exit code."""
        self._check()
        self._check_output()
        file = ModelFile.open(find_model(self.model), sha256=self.sha256)
        info = file.info
        self.detection.reported(info.labels)
        slowest = self._stream(info, self._fixed_step())
        slowest.check(info.frontend)
        post = self.detection.post_for(info, settle=slowest.settled)
        if self.file is None and self.pcm is None and not self.wait:
            find_device(self.device)  # before the model is loaded, which takes seconds
        guard = self.outputs.guard(info)
        sinks = self.outputs.open(info.frontend.sample_rate, guard)
        model = Model.load(file, **self.engine)
        stream = self._stream(info, self._sustained_step(model))
        detector = Detector(model, stream=stream, post=post)
        if guard is not None:
            guard.watch(detector)
        source = self._source(detector.sample_rate)
        if self._wants_view():
            listener = self._with_view(detector, source, sinks)
        else:
            if not stdout_is_closed():
                out = JsonLines(sys.stdout.fileno())
                # A slow reader must not block the detection of live sound.
                sinks.append(out if source.lossless else QueuedSink(out))
            listener = self._listener(detector, source, sinks)
            logs = [sink for sink in sinks if isinstance(sink, LogFile)]
            with stopped_by_signals(listener, logs):
                listener.run(duration=self.duration)
        for sink in sinks:
            for notice in sink.notices():
                print_message(notice)
        for name, failure in listener.summary.failures.items():
            print_message(f"{name}: {describe_failure(failure)}")
        return 0 if listener.summary.complete else 1

    def _check_output(self) -> None:
        """Raise OSError if no output would receive the events."""
        outputs = self.outputs
        if (
            outputs.log is None
            and outputs.command is None
            and outputs.save_clips is None
        ):
            check_stdout("--log FILE")

    def _listener(
        self, detector: Detector, source: Source, sinks: list[Sink]
    ) -> Listener:
        reported = self.detection.reported(detector.model.info.labels)
        return Listener(detector, source, sinks, only=reported)

    def _with_view(
        self, detector: Detector, source: Source, sinks: list[Sink]
    ) -> Listener:
        console = Console()
        view = LiveView(console)
        listener = self._listener(detector, source, sinks)
        with stopped_by_signals(listener, []), quiet(), view:
            listener.run(duration=self.duration, on_tick=view.show)
        console.print(summary_table(listener.summary))
        return listener

    def _check(self) -> None:
        if self.format_name not in (None, "view", "jsonl"):
            raise ValueError(
                f"--format must be view or jsonl, not {self.format_name!r}"
            )
        if self.pcm is not None and self.file is not None:
            raise ValueError("--stdin and --file cannot be combined; choose one")
        self.outputs.check()
        if self.duration is not None and not 0 < self.duration <= MOST:
            raise ValueError(
                f"--duration must be positive, and at most {MOST:.0e} (in seconds), not "
                f"{self.duration}"
            )
        if not 0 <= self.pace <= MOST:
            raise ValueError(f"--pace must be from 0 to {MOST:.0e}, not {self.pace}")
        if not 0 < self.max_load <= 1:
            raise ValueError(
                f"--max-load must be above 0 and at most 1, not {self.max_load}"
            )

    def _fixed_step(self) -> float | None:
        if self.step == "auto":
            return None
        try:
            return float(self.step)
        except ValueError:
            raise ValueError(
                f"--step must be a number of seconds or auto, not {self.step!r}"
            ) from None

    def _stream(self, info: ModelInfo, step: float | None) -> StreamConfig:
        """Return the stream's settings; a step of None is the longest possible."""
        settle = info.stream.settled if self.settle is None else self.settle
        latency = min(LATENCY, settle) if self.latency is None else self.latency
        settle = max(settle, latency) if self.settle is None else settle
        return StreamConfig(
            step=latency if step is None else step, latency=latency, settle=settle
        )

    def _sustained_step(self, model: Model) -> float:
        """Return the given step, or the shortest that this machine can keep up with."""
        cost = segment_cost(model)
        step = self._fixed_step()
        if step is None:
            longest = self._stream(model.info, None).latency
            step = shortest_step(
                cost, model.info.frontend, latency=longest, max_load=self.max_load
            )
        if cost / step > self.max_load:
            print_message(
                f"this machine is slow for this model: with a step of {step:.2f} s the "
                f"load is {percent(cost / step, 0)}; raise --latency and --step, or use "
                "a smaller model"
            )
        return step

    def _source(self, sample_rate: int) -> Source:
        if self.file is not None:
            pace = self.pace or math.inf
            return FileSource(self.file, sample_rate=sample_rate, pace=pace)
        if self.pcm is not None:
            rate, channels, encoding = self.pcm
            if sys.stdin is None or sys.stdin.isatty():
                raise ValueError(
                    "--stdin needs a pipe, such as `arecord -f S16_LE -r 44100 "
                    "-t raw | streamsed listen --stdin`"
                )
            return PcmSource(
                sys.stdin.buffer,
                capture_rate=rate,
                n_channels=channels,
                format_name=encoding,
                sample_rate=sample_rate,
                channel=self.channel,
            )

        def microphone() -> Microphone:
            return Microphone(
                self.device, sample_rate=sample_rate, channel=self.channel
            )

        return wait_for(microphone) if self.wait else microphone()

    def _wants_view(self) -> bool:
        if self.format_name is None:
            return sys.stdout.isatty()
        return self.format_name == "view"


@contextmanager
def stopped_by_signals(listener: Listener, logs: Sequence[LogFile]) -> Iterator[None]:
    """Make the first signal stop the listener, and the second interrupt the program.

    With a log and without a view, SIGHUP reopens the log instead, as programs that rotate
    logs expect.
    """

    def stop(*_: object) -> None:
        interrupt_again()
        listener.stop()

    def reopen(*_: object) -> None:
        for log in logs:
            log.reopen()

    def interrupt_again() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    handlers = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGHUP: reopen if logs else stop,
    }
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if handler is reopen or signal.getsignal(number) != signal.SIG_IGN  # nohup
    }
    try:
        yield
    finally:
        interrupt_again()
