"""Sounddevice's callback into `Detector.push`, without the rest of `streamsed listen`."""

import contextlib
import queue
import sys
from typing import Any

import sounddevice

from streamsed import Detector, StreamConfig
from streamsed.samples import Float32


def main(seconds: float = float("inf")) -> None:
    detector = Detector.load(stream=StreamConfig(step=0.5, latency=1.0))
    blocks: queue.Queue[Float32] = queue.Queue()

    def callback(block: Float32, n_samples: int, clock: Any, status: Any) -> None:  # noqa: ARG001
        if status:
            print(status, file=sys.stderr)
        blocks.put(
            block[:, 0].copy()
        )  # the callback must not wait, so it computes nothing

    n_left = seconds * detector.sample_rate
    with sounddevice.InputStream(detector.sample_rate, channels=1, callback=callback):
        while n_left > 0:
            block = blocks.get()
            n_left -= len(block)
            for event in detector.push(block):
                print(event, flush=True)
    for event in detector.flush():
        print(event)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends it
        main(*map(float, sys.argv[1:]))
