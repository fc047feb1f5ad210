"""Live detection: delay of events and computing cost.

STREAMSED_BENCH_MINUTES is how much audio the memory is measured on.
"""

import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.engines import full_width
from streamsed.audio.decode import file_chunks
from streamsed.audio.playback import FileSource
from streamsed.audio.source import Piece
from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.inference.model import Model, SegmentScores
from streamsed.live.auto_step import segment_cost
from streamsed.live.listener import Listener
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.live.summary import Summary
from streamsed.live.view import LiveView

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
MINUTES = int(os.environ.get("STREAMSED_BENCH_MINUTES", "60"))
STEP = 0.25
Row = tuple[str, str, str]


class Endless:
    """A source that gives the same chunks again and again, as fast as they are taken."""

    name = "the scene, again and again"
    lossless = True

    def __init__(self, samples: NDArray[np.float32], rate: int, seconds: float) -> None:
        self.capture_rate = rate
        self.memory: dict[int, float] = {}  # MB by whole minutes pushed
        self._samples = samples
        self._left = round(seconds * rate)
        self._n_given = 0

    def read(self) -> list[Piece] | None:
        """Give a tenth of a second; note the memory at every whole minute."""
        minute = self._n_given // (60 * self.capture_rate)
        if minute not in self.memory:
            self.memory[minute] = resident()
        if not self._left:
            return None
        start = self._n_given % len(self._samples)
        chunk = self._samples[start : start + min(4410, self._left)]
        self._n_given += len(chunk)
        self._left -= len(chunk)
        return [Piece(chunk)]

    def wait(self, n_samples: int, timeout: float) -> None:
        """Never wait: the next piece is there."""

    def notices(self) -> list[str]:
        """Have nothing to say."""
        return []

    def close(self) -> None:
        """Have nothing to close."""


def resident() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Clocked(Model):
    """A model that adds up the processor time of its scoring."""

    busy = 0.0

    def score(self, features: NDArray[np.float32]) -> SegmentScores:
        """Score as the model does, and clock it."""
        start = time.process_time()
        scored = super().score(features)
        self.busy += time.process_time() - start
        return scored


def play(model: Model, *, step: float, seconds: float) -> tuple[Summary, float]:
    """Listen to the scene at its pace, with view and log; return CPU seconds too."""
    detector = Detector(model, stream=StreamConfig(step=step, latency=1.0))
    source = FileSource(SCENE, sample_rate=detector.sample_rate)
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40)
    view = LiveView(console)
    with Path(os.devnull).open("wb", buffering=0) as log:
        listener = Listener(detector, source, [JsonLines(log.fileno())])
        before = time.process_time()
        summary = listener.run(duration=seconds, on_tick=view.show)
        return summary, time.process_time() - before


def at_real_pace(model: Model) -> Iterator[Row]:
    for step in (0.25, 1.0):
        summary, _ = play(model, step=step, seconds=30)
        delays = sorted(summary.latencies)
        aim = step + 0.3 + segment_cost(model)
        yield (
            f"onset to *opened*, step {step} s: median of {len(delays)}, worst",
            f"{delays[len(delays) // 2]:.2f} s, {delays[-1]:.2f} s",
            f"step + 0.3 s + compute: {aim:.2f} s",
        )
    clocked = Clocked.load("default", device="cpu")
    clocked.busy = 0.0  # of the check when it was loaded
    _, cpu = play(clocked, step=1.0, seconds=30)
    beside = (cpu - clocked.busy) / 30
    yield "processor beside the model, step 1 s, view and log", f"{beside:.1%}", "5 %"
    yield "processor of the model, step 1 s", f"{clocked.busy / 30:.1%}", ""


def at_speed(model: Model) -> Iterator[Row]:
    """Listen at short steps: the shipped model, and the report's at full width."""
    summary, _ = play(model, step=0.1, seconds=30)
    load = f"{summary.busy / 30:.0%}"
    yield f"share of the time that detection takes, step 0.1 s, {model.place}", load, ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "full.pt"
        full_width(path)
        full = Model.load(path, device="cpu", engine="openvino", precision="int8")
        summary, _ = play(full, step=0.5, seconds=30)
    load = f"{summary.busy / 30:.0%}"
    yield f"the same, full width, step 0.5 s, {full.place}", load, "50 %"


def at_any_pace(model: Model) -> Iterator[Row]:
    detector = Detector(model, stream=StreamConfig(step=1.0, latency=1.0))
    samples = np.concatenate(list(file_chunks(SCENE)))
    source = Endless(samples, detector.sample_rate, 60.0 * MINUTES)
    start = time.perf_counter()
    with Path(os.devnull).open("wb", buffering=0) as log:
        listener = Listener(detector, source, [JsonLines(log.fileno())])
        summary = listener.run()
    seconds = time.perf_counter() - start
    first, last = source.memory[1], source.memory[MINUTES]
    yield (
        f"memory after 1 min, after {MINUTES} min of audio",
        f"{first:.0f} MB, {last:.0f} MB",
        "the same",
    )
    expected = MINUTES * 60 * detector.sample_rate
    exact = "exact" if listener.stream.n_samples == expected else "not exact"
    yield "samples at the end", f"{listener.stream.n_samples}, {exact}", f"{expected}"
    yield "lost", f"{summary.lost:.1f} s", "0 s"
    yield "pace", f"{60 * MINUTES / seconds:.0f} times real", ""


def figures() -> str:
    model = Model.load("default", device="cpu")
    lines = ["## Listening", "", "| measure | here | aim |", "|---|---|---|"]
    for row in (*at_real_pace(model), *at_any_pace(model), *at_speed(model)):
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def sections() -> Iterator[str]:
    yield figures()
