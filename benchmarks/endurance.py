"""A day and a night of sound through `listen` at full pace, with every sink.

    python -m benchmarks.endurance --hours 24

The example scene is played again and again, at levels that change, through a pipe into the
command as a user starts it. Memory, descriptors and threads of its process are read from
/proc all the while; in the end every event must be in the log once, as on the output.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from streamsed.audio.decode import file_chunks

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
RATE = 44100
Seen = tuple[float, float, int, int]
"""Hours of sound, memory in MB, descriptors, threads."""
SETTLED = 0.1
"""Share of the sound after which growth is counted: caches are full by then."""
EVERY = 2.0
"""Seconds from one look at the process to the next."""


def feed(pipe: IO[bytes], hours: float, done: list[float]) -> None:
    """Write the scene over and over, each time at another level, and count the hours."""
    scene = np.concatenate(list(file_chunks(SCENE, sample_rate=RATE)))
    rng = np.random.default_rng(0)
    n_left = round(hours * 3600 * RATE)
    # A listener that is ended before has had enough.
    with suppress(BrokenPipeError), pipe:
        while n_left > 0:
            played = scene[:n_left] * np.float32(10 ** rng.uniform(-1, 0))
            pipe.write((played * 32767).astype("<i2").tobytes())
            n_left -= len(played)
            done[0] = hours - n_left / RATE / 3600


def look(pid: int) -> tuple[float, int, int]:
    """Return resident memory in MB, open descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = dict(re.findall(r"^(VmRSS|Threads):\s*(\d+)", status, re.MULTILINE))
    n_open = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return int(numbers["VmRSS"]) / 1024, n_open, int(numbers["Threads"])


def listen(hours: float, folder: Path, step: float) -> tuple[list[Seen], float]:
    """Run to the end; return the measurements (hours, memory, descriptors, threads)."""
    clips = folder / "clips"
    clips.mkdir()
    command = [sys.executable, "-m", "streamsed", "listen", "--stdin"]
    command += ["--rate", str(RATE), "--step", str(step), "--latency", str(step)]
    command += ["--log", str(folder / "log.jsonl"), "--exec", "true"]
    command += ["--save-clips", str(clips), "--clips-limit", "50"]
    start = time.monotonic()
    with (folder / "out.jsonl").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out)
        done = [0.0]
        feeder = threading.Thread(target=feed, args=(process.stdin, hours, done))
        feeder.start()
        seen = []
        while process.poll() is None:
            time.sleep(EVERY)
            try:
                seen.append((done[0], *look(process.pid)))
            except (OSError, KeyError):  # it has just ended
                break
        feeder.join()
        process.wait()
    if process.returncode not in (0, 1):  # 1: something was skipped, which is reported
        raise SystemExit(f"it ended with {process.returncode}")
    return seen, time.monotonic() - start


def closed(path: Path) -> Counter[tuple[object, ...]]:
    """Count the events of a log by what they are."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    keys = ("id", "label", "onset", "offset")
    return Counter(
        tuple(record[key] for key in keys)
        for record in records
        if record["state"] == "closed"
    )


def report(
    hours: float, step: float, seen: list[Seen], seconds: float, folder: Path
) -> str:
    """Format the measurements as a section of the results."""
    settled = np.array([each for each in seen if each[0] >= SETTLED * hours])
    slope = np.polyfit(settled[:, 0], settled[:, 1], 1)[0] if len(settled) > 2 else 0.0
    log, out = closed(folder / "log.jsonl"), closed(folder / "out.jsonl")
    once = log == out and set(log.values()) <= {1}
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    failed = last.get("failures", {})
    clips = [path.stat().st_size for path in (folder / "clips").iterdir()]
    return f"""## A day and a night

`python -m benchmarks.endurance --hours {hours:g} --step {step:g}`: sound through `listen --stdin` at full
pace, with a log, a command and a clip for every event.

| | |
|---|---|
| sound | {last["heard"] / 3600:.2f} h in {seconds / 60:.0f} min |
| memory from {SETTLED * hours:g} h on | {settled[:, 1].min():.0f} to \
{settled[:, 1].max():.0f} MB; growth {slope:+.2f} MB for an hour of sound |
| descriptors | {settled[:, 2].min():.0f} to {settled[:, 2].max():.0f} |
| threads | {settled[:, 3].min():.0f} to {settled[:, 3].max():.0f} |
| events | {sum(out.values())}; each in the log once: {"yes" if once else "no"} |
| clips left within the limit of 50 MB | {len(clips)}, {sum(clips) / 1e6:.1f} MB |
| failed or skipped | {failed or "nothing"} |
"""


def main() -> None:
    """Run it as asked for on the command line and print the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--step", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen, seconds = listen(options.hours, folder, options.step)
        print(report(options.hours, options.step, seen, seconds, folder))


if __name__ == "__main__":
    main()
