"""A corpus against its parts: decoding, features and network, each measured alone.

Processor seconds are compared, since they do not depend on who else uses the machine: the
workers are busy all the time, so the ratio of these is the ratio of speeds.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from streamsed.audio.decode import file_chunks
from streamsed.inference.model import Model
from streamsed.pipeline.extractor import SegmentExtractor, SegmentFeatures

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
MINUTES = int(os.environ.get("STREAMSED_CORPUS_MINUTES", "60"))
LENGTH = 5  # minutes of a file
REPEATS = 3


def write_recordings(folder: Path, minutes: int) -> None:
    """Write FLAC files of the example scene, over and over, each begun elsewhere."""
    scene, rate = soundfile.read(SCENE, dtype="float32")
    for i in range(minutes // LENGTH):
        samples = np.resize(np.roll(scene, -7919 * i), LENGTH * 60 * rate)
        soundfile.write(folder / f"{i:03d}.flac", samples, rate)


def processor_time(work: Callable[[], object]) -> float:
    """Return the least processor seconds of this thread in a few turns."""
    times = []
    for _ in range(REPEATS):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return min(times)


def parts(path: Path) -> dict[str, float]:
    """Return processor seconds for a second of audio: decoding, features, network."""
    model = Model.load("default", threads=1, n_parallel=1)
    frontend = model.info.frontend
    step, _ = model.info.stream.in_score_frames(frontend)
    chunks = list(file_chunks(path))
    seconds = sum(map(len, chunks)) / frontend.sample_rate
    extractor = SegmentExtractor(frontend, step=step, partial=False)
    segments = [e for e in extractor.run(chunks) if isinstance(e, SegmentFeatures)]
    some = segments[:16]

    def score() -> None:
        for segment in some:
            model.score(segment.features)

    share = len(segments) / len(some)
    return {
        "decoding FLAC": processor_time(lambda: list(file_chunks(path))) / seconds,
        "features": processor_time(lambda: list(extractor.run(chunks))) / seconds,
        "network": _network_time(score) * share / seconds,
    }


def _network_time(score: Callable[[], None]) -> float:
    """Return the processor seconds of all threads: the engine may use one of its own."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        score()
        times.append(time.process_time() - started)
    return min(times)


def run_corpus(recordings: Path, out: Path) -> tuple[float, float]:
    """Return wall and processor seconds of the command, all its processes together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "streamsed", "corpus", str(recordings), "-o", str(out)],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shutil.rmtree(out)
    return wall, used


def sections() -> Iterator[str]:
    """Measure and yield the section of RESULTS.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, many = folder / "one", folder / "many"
        for place, minutes in ((one, LENGTH), (many, MINUTES)):
            place.mkdir()
            write_recordings(place, minutes)
        alone = parts(many / "000.flac")
        _, start_used = run_corpus(one, folder / "out")
        wall, used = run_corpus(many, folder / "out")
    seconds = (MINUTES - LENGTH) * 60  # what the second run did more than the first
    each = (used - start_used) / seconds
    total = sum(alone.values())
    rows = "".join(
        f"| {name} | {1e4 * cost:.2f} ms |\n" for name, cost in alone.items()
    )
    yield f"""## A corpus

{MINUTES} minutes of FLAC (44.1 kHz, mono) in files of {LENGTH} minutes, `streamsed corpus`
with a worker for each of {os.cpu_count()} cores. Processor time for 10 s of audio, start-up
({start_used:.1f} s of processor time) apart:

| | |
|---|---|
{rows}| these together | {1e4 * total:.2f} ms |
| `streamsed corpus`, all its processes | {1e4 * each:.2f} ms |
| share of what the parts allow | {total / each:.2f} |
| one core, times real time | {1 / each:.0f} |
| wall time of the whole run, times real time | {MINUTES * 60 / wall:.0f} |
"""


if __name__ == "__main__":
    print(*sections())
