"""Benchmark engines, precisions and threads on this machine.

Each combination loads the model in its own process, which gives its memory and start-up
time; then they score one segment each in turn, so that other load affects all alike. Run
as a program, this module is such a process.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from streamsed.inference.cpu import available_cores
from streamsed.inference.engine import PRECISIONS
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.selection import EngineRequest, candidates
from streamsed.live.auto_step import shortest_step
from streamsed.pipeline.frontend import scale_segment

MAX_ROUNDS = 100_000
"""Hours of scoring."""


@dataclass(slots=True)
class Contender:
    """A process with the model loaded by one engine.

    Parameters
    ----------
    file : ModelFile
        The model; the process accepts no other.
    request : EngineRequest
        Engine, precision and threads.

    Raises
    ------
    ValueError
        The engine does not run here.
    """

    file: ModelFile
    request: EngineRequest
    load: float = field(init=False)
    seconds: list[float] = field(default_factory=list, init=False)
    _process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        """Start the process and wait until it has scored a first segment."""
        settings = {
            name: getattr(self.request, name) for name in EngineRequest.__slots__
        }
        settings["sha256"] = self.file.sha256
        command = [
            sys.executable,
            "-m",
            "streamsed.diagnostics.bench",
            str(self.file.path),
        ]
        self._process = subprocess.Popen(
            [*command, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._read()
        if "error" in ready:
            self.close()
            raise ValueError(ready["error"])
        self.load = ready["load"]

    def score(self) -> None:
        """Score a segment and store the time."""
        self.seconds.append(self._ask("score")["seconds"])

    def memory(self) -> float:
        """Return the peak memory of the process so far, in MB."""
        return float(self._ask("memory")["memory"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    @property
    def median(self) -> float:
        """Median seconds per segment."""
        return statistics.median(self.seconds)

    def _ask(self, what: str) -> dict[str, Any]:
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.write(what + "\n")
            self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        out = self._process.stdout
        line = "" if out is None or out.closed else out.readline()
        if not line:
            raise ValueError(f"the process of {self.request} ended unexpectedly")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Results of one combination.

    Parameters
    ----------
    engine, precision, threads
        The combination.
    load : float
        Seconds to load the model and score a first segment, imports included.
    segment : float
        Median seconds per segment.
    real_time_factor : float
        Load at the model's default step.
    step : float
        Seconds; the shortest step that `listen` would choose.
    memory : float
        Peak memory in MB.
    """

    engine: str
    precision: str
    threads: int
    load: float
    segment: float
    real_time_factor: float
    step: float
    memory: float


def requests(file: ModelFile, request: EngineRequest) -> list[EngineRequest]:
    """Return the combinations that can run here and match a request.

    Engines that were not accepted at export are included.
    """
    cores = available_cores()
    counts = [1, cores] if request.threads is None else [request.threads]
    precisions = PRECISIONS if request.precision == "auto" else (request.precision,)
    return [
        EngineRequest(found.device, found.engine, precision, threads, request.trust)
        for precision in precisions
        for found in candidates(file, replace(request, precision=precision))
        if not found.rejected_because
        for threads in sorted(set(counts))
    ]


def measure(
    file: ModelFile, request: EngineRequest, *, n_rounds: int
) -> Iterator[BenchResult]:
    """Measure all combinations in turn.

    Parameters
    ----------
    file : ModelFile
        The model.
    request : EngineRequest
        What to measure; "auto" and None select all.
    n_rounds : int
        Segments per combination.

    Raises
    ------
    ValueError
        None of the requested combinations runs here.
    """
    if not 1 <= n_rounds <= MAX_ROUNDS:
        raise ValueError(f"rounds={n_rounds} must be from 1 to {MAX_ROUNDS}")
    found = requests(file, request)
    if not found:
        raise ValueError(
            f"engine={request.engine} with precision={request.precision} does not run here; "
            "see `streamsed info`"
        )
    with ExitStack() as stack:
        contenders = []
        for each in found:
            contenders.append(Contender(file, each))
            stack.callback(contenders[-1].close)
        in_turns(contenders, n_rounds)
        for contender in contenders:
            yield _row(contender, file.info)


def in_turns(contenders: Sequence[Contender], n_rounds: int) -> None:
    """Let each process score one segment in turn, `n_rounds` times."""
    for _ in range(n_rounds):
        for contender in contenders:
            contender.score()


def _row(contender: Contender, info: ModelInfo) -> BenchResult:
    request, segment = contender.request, contender.median
    whole = info.frontend.segment_score_frames * info.frontend.score_frame_duration
    return BenchResult(
        engine=request.engine
        if request.device == "cpu"
        else f"{request.engine} {request.device}",
        precision=request.precision,
        threads=request.threads or 0,
        load=contender.load,
        segment=segment,
        real_time_factor=segment / info.stream.step,
        step=shortest_step(segment, info.frontend, latency=whole),
        memory=contender.memory(),
    )


def peak_memory() -> float:
    """Return the peak memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage includes the parent's memory at the fork
        peak = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        if peak is not None:
            return int(peak[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _contend(path: str, settings: dict[str, Any]) -> None:
    """Load a model, then execute the commands from standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it exits at the end of its input
    start = time.perf_counter()
    try:
        model = Model.load(path, **settings)
        config = model.info.frontend
        shape = config.segment_frames, config.n_mels
        frames = np.random.default_rng(0).normal(-40, 15, shape).astype(np.float32)
        features = scale_segment(frames, config)
        model.score(features)
    except (OSError, ValueError) as error:
        _answer({"error": str(error)})
        return
    _answer({"load": time.perf_counter() - start})
    for line in sys.stdin:
        if line.strip() == "memory":
            _answer({"memory": peak_memory()})
            continue
        start = time.perf_counter()
        model.score(features)
        _answer({"seconds": time.perf_counter() - start})


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _contend(sys.argv[1], json.loads(sys.argv[2]))
