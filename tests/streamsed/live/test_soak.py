"""Kills, stalls and device losses at random: what was played is in the log, or its gap.

A handful of rounds by default; `make soak` does 200 (STREAMSED_SOAK).
"""

import json
import os
import random
import signal
import time
from datetime import datetime

import numpy as np
import pytest
from environment import ENVIRONMENT
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Given, Kept, Listening, audio_pieces, bursts, gap

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.live.listener import Listener

ROUNDS = int(os.environ.get("STREAMSED_SOAK", "2"))
SEED = int(os.environ.get("STREAMSED_SOAK_SEED", "0"))
CALAMITIES = ("kill", "loss", "stall", "terminate", "nothing")
COLLAR = 0.8  # seconds that a player may take to start, and more


class Session:
    """What one run of the command wrote to the log, on the clock's time line."""

    def __init__(self, records):
        times = [r["time"] for r in records if r["state"] == "listening"]
        self.began = datetime.fromisoformat(times[0]).timestamp() if times else None
        self.records = records
        last = max((r["at"] for r in records), default=0)
        self.ended = None if self.began is None else self.began + last

    def spans(self, state):
        for record in self.records:
            if record["state"] == state and self.began is not None:
                onset, offset = record["onset"], record["offset"]
                yield self.began + onset, self.began + offset, record


def sessions_of(log):
    sessions = []
    for line in log.read_text().splitlines():
        record = json.loads(line)
        if record["state"] == "started":
            sessions.append([])
        sessions[-1].append(record)
    return [Session(records) for records in sessions]


class Soak:
    """Play sounds to a command that suffers; remember when nobody could listen."""

    def __init__(self, mic, log, model_path):
        self.mic, self.log, self.model_path = mic, log, model_path
        self.random = random.Random(SEED)
        self.played, self.deaf = [], []
        self.start()

    def start(self):
        options = ["--device", "pulse", "--model", self.model_path, "--log", self.log]
        self.one = Listening(
            *options, "--step", 0.25, environment=ENVIRONMENT | self.mic.environment
        )
        self.one.wait_until_received()

    def play(self):
        label = self.random.choice(["Speech", "Dog"])
        self.mic.play(bursts([(label, 0.1, 0.8)], 1.0))
        now = time.time() + 0.35
        self.played.append((label, now, now + 0.8))

    def suffer(self, calamity):
        began = time.time()
        if calamity == "stall":
            self.one.send(signal.SIGSTOP)
            time.sleep(self.random.uniform(0.2, 5))
            self.one.send(signal.SIGCONT)
            return  # and nothing may be lost
        if calamity == "loss":
            self.mic.unload()
            self.one.wait_for(lambda: self.one.said("is lost"))
            time.sleep(self.random.uniform(0, 2))
            self.mic.load()
            self.one.wait_for(lambda: self.one.said("is back"))
            self.one.records.clear()
        if calamity in ("kill", "terminate"):
            number = signal.SIGKILL if calamity == "kill" else signal.SIGTERM
            self.one.end(number)
            self.start()
        if calamity != "nothing":
            # What is not yet final dies with the program: 1 s of latency and a gap.
            self.deaf.append((began - (2.5 if calamity == "kill" else 0), time.time()))

    def round(self, calamity):
        first = self.random.random() < 0.5
        if first:
            self.play()
            time.sleep(self.random.uniform(0, 1.5))
        self.suffer(calamity)
        if not first:
            time.sleep(self.random.uniform(0, 0.5))
            self.play()
        time.sleep(2.5)


def overlaps(one, other, slack=0.0):
    return one[0] < other[1] + slack and other[0] < one[1] + slack


@pytest.mark.live
def test_what_was_played_is_in_the_log_once_or_its_gap_is(mic, model_path, tmp_path):
    log = tmp_path / "log.jsonl"
    soak = Soak(mic, log, model_path)
    with soak.one:
        for n in range(ROUNDS):
            calamity = CALAMITIES[n] if n < 4 else soak.random.choice(CALAMITIES)
            soak.round(calamity)
        soak.round("nothing")
        assert soak.one.end() == 0
    sessions = sessions_of(log)
    closed = [span for session in sessions for span in session.spans("closed")]
    gaps = [span[:2] for session in sessions for span in session.spans("gap")]
    n_whole = 0
    for label, *when in soak.played:
        found = [c for c in closed if overlaps(c, when, 0.3)]
        if any(overlaps(gap, when, COLLAR) for gap in [*gaps, *soak.deaf]):
            continue
        n_whole += 1
        assert [record["label"] for _, _, record in found] == [label], (when, found)
        assert abs(found[0][0] - when[0]) < COLLAR
    assert n_whole >= max(1, ROUNDS / 4 - 1)
    # Nothing is reported that was not played, and every loss of the device has its gap.
    for onset, offset, _ in closed:
        near = [p for p in soak.played if overlaps((onset, offset), p[1:], COLLAR)]
        assert near, (onset, offset)


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, stream=StreamConfig(step=0.5, latency=1.0))


@settings(max_examples=max(10, ROUNDS))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sound", "gap", "stall"]),
            st.integers(1, 120_000),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_chunks_gaps_and_stalls_leave_a_whole_time_line(detector, turns):
    samples = bursts([("Dog", n * 2.0 + 0.5, 0.8) for n in range(16)], 34.0)
    reads, truth, position = [], np.zeros_like(samples), 0
    for what, count in turns:
        chunk = samples[position : position + count]
        if what == "gap":
            reads.append([gap(len(chunk))])
        else:
            truth[position : position + len(chunk)] = chunk
            reads.append(
                audio_pieces(chunk, [len(chunk) // 3] * 2 if what == "sound" else [])
            )
        position += len(chunk)
    kept = Kept()
    summary = Listener(detector, Given(reads), [kept]).run()
    assert np.array_equal(np.concatenate(kept.samples), truth[:position])
    lost = sum(r["offset"] - r["onset"] for r in kept.of("gap"))
    assert summary.lost == pytest.approx(lost, abs=1e-4)
    ended = [r["id"] for r in kept.of("closed", "withdrawn")]
    assert sorted(ended) == list(range(1, len(ended) + 1))
    assert len(kept.of("opened")) == len(ended)
