"""The whole program, as a user meets it: start-up, a clip, two hours; and its parts."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from streamsed.audio.decode import file_chunks
from streamsed.detector import Detector
from streamsed.pipeline.extractor import SegmentFeatures

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
HOURS = 2
PARTS_MINUTES = 60
START, WAV, TOGETHER = "start-up, 1 s clip", "decoding WAV", "network, in threads"
BETWEEN = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss, status)
"""
Row = tuple[str, str, str]


def run(*arguments: str) -> tuple[float, float]:
    """Run Python with `arguments`; return wall seconds and peak memory in MB.

    The peak reported for a child is at least that of its parent, so a small process is
    started in between.
    """
    output = subprocess.run(
        [sys.executable, "-c", BETWEEN, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    seconds, memory, status = map(float, output.split())
    if status:
        raise RuntimeError(f"{arguments} ended with status {status}")
    return seconds, memory / 1024


def median_seconds(*arguments: str, repeats: int = 5) -> float:
    return statistics.median(run(*arguments)[0] for _ in range(repeats))


def start_up() -> Iterator[Row]:
    bare = median_seconds("-c", "pass")
    imported = median_seconds("-c", "import streamsed")
    yield "`import streamsed`", f"{imported - bare:.3f} s", "0.2 s"
    yield (
        "`streamsed --help`",
        f"{median_seconds('-m', 'streamsed', '--help'):.2f} s",
        "0.5 s",
    )


def clips() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.wav"
        scene, rate = soundfile.read(SCENE)
        soundfile.write(clip, scene[: 10 * rate], rate)
        seconds = median_seconds("-m", "streamsed", "file", str(clip))
        yield "`streamsed file` on a 10 s clip", f"{seconds:.2f} s", "4 s"
        torch_alone = median_seconds("-c", "import torch")
        yield "of which `import torch`", f"{torch_alone:.2f} s", ""
        minute = Path(folder) / "minute.flac"
        soundfile.write(minute, np.resize(scene, 60 * rate), rate)
        _, memory = run("-m", "streamsed", "file", str(minute))
        yield "peak memory on 1 minute", f"{memory:.0f} MB", ""
        hours = Path(folder) / "hours.flac"
        with soundfile.SoundFile(hours, "w", rate, 1) as sound:
            for _ in range(HOURS * 120):
                sound.write(scene)
        seconds, memory = run("-m", "streamsed", "file", str(hours))
        yield f"peak memory on {HOURS} hours", f"{memory:.0f} MB", "bounded"
        yield f"time for {HOURS} hours", f"{seconds:.0f} s", ""
        factor = seconds / (HOURS * 3600)
        yield "real-time factor", f"1/{1 / factor:.0f}", ""


def drain(items: Iterable[object]) -> float:
    """Return the seconds that an iteration takes, of which nothing is kept."""
    start = time.perf_counter()
    for _ in items:
        pass
    return time.perf_counter() - start


def parts(path: Path, wav: Path) -> dict[str, float]:
    """Return the seconds of each part of `streamsed file`, one after another.

    As in the program, decoded sound and features are not kept while the clock runs: it is
    the system that takes its time over fresh memory.
    """
    detector = Detector.load("default", device="cpu")
    seconds = {WAV: drain(file_chunks(wav)), "decoding": drain(file_chunks(path))}
    chunks = list(file_chunks(path))
    seconds["log-mel, segments, normalisation"] = drain(
        detector.new_extractor().run(chunks)
    )
    everything = list(detector.new_extractor().run(chunks))
    segments = [item for item in everything if isinstance(item, SegmentFeatures)]
    start = time.perf_counter()
    scored = iter([detector.model.score(segment.features) for segment in segments])
    seconds["network"] = time.perf_counter() - start
    with ThreadPoolExecutor(detector.model.n_parallel) as pool:
        start = time.perf_counter()
        for _ in pool.map(detector.model.score, (each.features for each in segments)):
            pass
        seconds[TOGETHER] = time.perf_counter() - start
    start = time.perf_counter()
    for item in everything:
        detector.consume(
            item, next(scored) if isinstance(item, SegmentFeatures) else None
        )
    seconds["stitching, tracking"] = time.perf_counter() - start
    return seconds


def overlap() -> Iterator[Row]:
    """Hold the whole program against the sum of its parts, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        scene, rate = soundfile.read(SCENE)
        clip, long = Path(folder) / "clip.wav", Path(folder) / "long.flac"
        soundfile.write(clip, scene[:rate], rate)
        soundfile.write(long, np.resize(scene, PARTS_MINUTES * 60 * rate), rate)
        wav = long.with_suffix(".wav")
        soundfile.write(wav, np.resize(scene, PARTS_MINUTES * 60 * rate), rate)
        rounds = []
        for _ in range(5):
            started = run("-m", "streamsed", "file", str(clip))[0]
            whole = run("-m", "streamsed", "file", str(long))[0]
            rounds.append({START: started, **parts(long, wav), "": whole})
    median = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    whole, together, by_wav = (median.pop(name) for name in ("", TOGETHER, WAV))
    yield "`streamsed file` on a 1 s clip", f"{median[START]:.2f} s", "1.5 s"
    beside = -median[START] - median["network"] + sum(median.values())
    for name in list(median)[1:]:
        yield f"{name}, for 10 s of FLAC", _milliseconds(median[name]), ""
    yield "all beside the network, for 10 s of FLAC", _milliseconds(beside), "6 ms"
    beside += by_wav - median["decoding"]
    yield "all beside the network, for 10 s of WAV", _milliseconds(beside), "6 ms"
    together /= median["network"]
    yield (
        "the network for two segments at once, by one after another",
        f"{together:.2f}",
        "",
    )
    total = sum(median.values())
    what = f"`streamsed file` on {PARTS_MINUTES} min of FLAC, by the sum of its parts"
    yield what, f"{whole:.2f} s / {total:.2f} s = {whole / total:.2f}", "0.65"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds / (PARTS_MINUTES * 6):.2f} ms"


def sections() -> Iterator[str]:
    lines = ["## The whole program", "", "| measure | here | aim |", "|---|---|---|"]
    for row in (*start_up(), *clips(), *overlap()):
        lines.append("| " + " | ".join(row) + " |")
    yield "\n".join(lines)
