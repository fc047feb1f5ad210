"""The whole program, as a user meets it: start-up, a clip, two hours, one segment."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from streamsed.frontend import normalize
from streamsed.model import Model

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
HOURS = 2
Row = tuple[str, str, str]


def run(*arguments: str) -> tuple[float, float]:
    """Run Python with `arguments`; return wall seconds and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{arguments} ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


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


def segments() -> Iterator[Row]:
    model = Model.load("default", device="cpu")
    config = model.info.frontend
    rng = np.random.default_rng(0)
    frames = rng.normal(-40, 10, (config.segment_frames, config.n_mels))
    features = normalize(frames.astype(np.float32))
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        model.score(features)
        seconds.append(time.perf_counter() - start)
    milliseconds = 1000 * statistics.median(seconds)
    yield (
        "`default` on a 10 s segment, TorchScript, all cores",
        f"{milliseconds:.0f} ms",
        "",
    )


def sections() -> Iterator[str]:
    lines = ["## The whole program", "", "| measure | here | aim |", "|---|---|---|"]
    for row in (*start_up(), *clips(), *segments()):
        lines.append("| " + " | ".join(row) + " |")
    yield "\n".join(lines)
