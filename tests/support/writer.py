"""Writers of logs and clips, to be in processes of their own.

A module of its own: a new process imports what it runs by name, and the tests have none.
"""

import time

import numpy as np
from sounds import RATE

from streamsed.events import Event
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.pipeline.lifecycle import EventUpdate


def write_many(path, number):
    log = JsonLines.append(path)
    for n in range(500):
        log.on_record({"writer": number, "n": n, "padding": "x" * 300}, None)


def save_clips(folder, begun):
    sink = ClipSink(ClipFolder(folder, max_bytes=10**9), sample_rate=RATE)
    sink.on_samples(np.random.default_rng(0).uniform(-1, 1, 8 * RATE).astype("f4"))
    begun.set()
    for n in range(10_000):
        event = Event("Dog", 1.0, 2.0, 0.9)
        sink.on_record({}, EventUpdate("closed", n, event, ongoing=False))
        time.sleep(0.001)
