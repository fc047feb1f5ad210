"""Draw the live view of the example scene as an SVG: `python -m scripts.view_svg OUT.svg`.

The picture in the README is made by this: the scene goes through the detector as it would
from a microphone, and what the view shows after its 29 seconds is exported by rich. The
clock is a fixed one; the load is that of the machine that draws.
"""

import argparse
import io
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from streamsed import Detector, StreamConfig, file_chunks
from streamsed.atomic_write import write
from streamsed.live.snapshot import History, Snapshot
from streamsed.live.view import picture

SCENE = Path(__file__).parent.parent / "examples" / "scene.flac"
SIZE = 92, 19
"""Columns and lines."""
SECONDS = 28.0
"""Of the scene: the dog still barks."""
CLOCK = datetime(2026, 5, 4, 7, 31)
STREAM = StreamConfig(step=0.25, latency=1.0)


def snapshot_of(path: Path) -> Snapshot:
    """Return what the view knows after `SECONDS` of a recording."""
    detector = Detector.load("default", stream=STREAM)
    info, rate = detector.model.info, detector.sample_rate
    history = History(len(info.labels))
    detector.observer = history
    n_samples, peak, busy = 0, 0.0, 0.0
    for chunk in file_chunks(path, sample_rate=rate):
        for first in range(0, len(chunk), rate // 10):  # as a microphone sends them
            samples = chunk[first : first + rate // 10]
            start = time.perf_counter()
            updates = detector.push_updates(samples)
            busy += time.perf_counter() - start
            for update in updates:
                history.on_record({}, update)
            n_samples += len(samples)
            peak = float(abs(samples).max())
            if n_samples >= SECONDS * rate:
                pending = detector.pending()
                duration = info.frontend.score_frame_duration
                return Snapshot(
                    source="microphone",
                    capture_rate=rate,
                    step=STREAM.step,
                    latency=STREAM.latency,
                    load=busy / (n_samples / rate),
                    lost=0.0,
                    now=n_samples / rate,
                    peak=peak,
                    labels=info.labels,
                    scores=history.scores(pending),
                    scores_end=(detector.n_final + len(pending)) * duration,
                    frame_duration=duration,
                    events=history.events,
                    notice="",
                    origin=CLOCK.timestamp(),
                )
    raise ValueError(f"{path} must last at least {SECONDS} s")


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser("python -m scripts.view_svg", description=__doc__)
    parser.add_argument("output", metavar="OUT.svg", type=Path)
    output = parser.parse_args().output
    console = Console(
        record=True, file=io.StringIO(), width=SIZE[0], force_terminal=True
    )
    console.print(picture(snapshot_of(SCENE), SIZE))
    svg = console.export_svg(title="streamsed listen", unique_id="streamsed")
    write(output, [svg])


if __name__ == "__main__":
    main()
