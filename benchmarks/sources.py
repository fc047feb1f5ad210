"""Many sources: how many one core carries at a step of a second, and what bounds it.

    python -m benchmarks.sources [SOURCES] [SECONDS]

Recordings are played at their pace as sources of `streamsed serve`, on one core, with the
shipped model. What counts is the processor's time for a second of one source: its inverse
is the number of sources. The segments that were skipped, and how long events took to be
announced, say whether the core did keep up.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamsed.live.sinks.base_sink import BaseSink
from streamsed.live.sinks.sink import Sink
from streamsed.pipeline.lifecycle import EventUpdate
from streamsed.serve.service import Service
from streamsed.serve.settings import SourceSettings, read_serve_settings

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
N_SOURCES, SECONDS = 30, 40.0
WARM = 12.0
"""Seconds until every segment is whole."""


class Delays(BaseSink):
    """Keep how long after its onset each event was announced."""

    name = "delays"

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.counting = False

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        """Note an event that was opened."""
        if update is not None and update.state == "opened" and self.counting:
            self.seconds.append(record["at"] - update.event.onset)


def measure(n_sources: int, seconds: float) -> None:
    """Print what so many sources cost on the core that this process has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "home.toml"
        path.write_text("[[source]]\nname = 'x'\nurl = '-'\n")
        settings = read_serve_settings(path)
    sources = tuple(
        SourceSettings(name=f"s{i}", url=f"file://{SCENE}", loop=True)
        for i in range(n_sources)
    )
    service = Service(replace(settings, sources=sources), print_message=print)
    delays = Delays()
    sinks: list[Sink] = [delays]
    service.fan_out.replace([], sinks)
    service.start()
    time.sleep(WARM)
    delays.counting = True
    skipped = sum(source.n_skipped for source in service.sources())
    busy, began = time.process_time(), time.monotonic()
    time.sleep(seconds)
    busy, elapsed = time.process_time() - busy, time.monotonic() - began
    skipped = sum(source.n_skipped for source in service.sources()) - skipped
    queued = max(source.queued for source in service.sources())
    load = service.scheduler.load
    service.stop()
    found = sorted(delays.seconds) or [0.0]
    memory = peak_memory()
    cost = busy / elapsed / n_sources
    print(
        f"| {n_sources} | {1000 * cost:.1f} ms | {1 / cost:.0f} | {load:.0%} | "
        f"{skipped / (n_sources * elapsed):.1%} | {found[len(found) // 2]:.2f} s, "
        f"{found[len(found) * 9 // 10]:.2f} s | {queued:.1f} s | {memory:.0f} MB |"
    )


def peak_memory() -> float:
    """Return the peak memory of this process in MB.

    `getrusage` would count the process that started this one, until it was replaced.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def sections() -> Iterator[str]:
    """Yield the section of the results."""
    rows = [_on_one_core(n, SECONDS) for n in (1, 10, N_SOURCES)]
    yield f"""## Many sources on one core

`python -m benchmarks.sources 30`: recordings played at their pace as sources of `streamsed
serve`, step 1 s, all on one core; the network of the shipped model takes most of it. A source of the
network takes 6 ms a second more, in its ffmpeg (AAC, 44.1 kHz), which is not in the table.
Once, in bf16 and with a priority above all else on its core, 50 were kept up with: 18.4 ms, 85 % of the
time in visits, no segment skipped.

| sources | processor time for a second of one | sources a core by that | time in visits | \
segments skipped | announced after (median, 90 %) | longest queue | memory |
|---:|---:|---:|---:|---:|---:|---:|---:|
{"".join(rows).strip()}
"""


def _on_one_core(n_sources: int, seconds: float) -> str:
    """Measure in a process that is limited to one core from its start."""
    core = str(min(os.sched_getaffinity(0)))
    words = [sys.executable, "-m", "benchmarks.sources", str(n_sources), str(seconds)]
    run = subprocess.run(
        ["taskset", "--cpu-list", core, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


if __name__ == "__main__":
    arguments = sys.argv[1:]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    measure(
        int(arguments[0]) if arguments else N_SOURCES,
        float(arguments[1]) if len(arguments) > 1 else SECONDS,
    )
