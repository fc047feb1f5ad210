"""A clock that is set, and a machine that sleeps, while `listen` is at work."""

import json
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest
from environment import ENVIRONMENT
from listening import Listening, bursts

HOUR = 3600.0
CLOCK = Path(__file__).parents[2] / "support" / "stepped_clock"


class Clock:
    """What the command's clock says beside the true one."""

    def __init__(self, path):
        self.path = path
        self.step(0)

    def step(self, seconds):
        draft = self.path.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.replace(self.path)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "step")


@pytest.fixture
def listen(model_path, mic, clock, tmp_path):
    environment = ENVIRONMENT | mic.environment
    environment |= {"PYTHONPATH": str(CLOCK), "CLOCK_STEP": str(clock.path)}
    fixed = ["--device", "pulse", "--model", model_path, "--step", 0.25, "--settle", 1]
    with Listening(
        *fixed, "--log", tmp_path / "log.jsonl", environment=environment
    ) as one:
        one.wait_until_received()
        yield one


SLACK = 3.0
"""Seconds. The virtual microphone makes up at once for some of the sound that it owes when
it wakes, which no real one can; its clock is right again after a minute."""


def detect_played(one, mic, label, step=0.0):
    """Play a sound, and return what was reported of it: at its time by a stepped clock."""
    n_before = len(one.of("closed"))
    played = time.time()
    mic.play(bursts([(label, 0.2, 0.8)], 1.5))
    record = one.wait_for(lambda: one.of("closed")[n_before:])[0]
    assert record["label"] == label
    assert played - SLACK <= seconds(record) - step <= time.time() + SLACK
    return record


def seconds(record):
    return datetime.fromisoformat(record["time"]).timestamp()


def check(one, tmp_path, before, after, step):
    """What came after the step is distinguished from what came before, and all is logged."""
    assert one.end(signal.SIGTERM) == 0
    first, second = one.of("listening")
    assert seconds(second) - seconds(first) == pytest.approx(step, abs=5)
    assert before["offset"] < after["onset"]
    (notice,) = one.said("the clock is")
    assert ("later" if step > 0 else "earlier") in notice["text"]
    logged = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in logged] == one.records


@pytest.mark.live
@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_clock_that_is_set_is_followed_and_no_event_is_lost(
    listen, mic, clock, tmp_path, step
):
    before = detect_played(listen, mic, "Dog")
    clock.step(step)
    listen.wait_for(lambda: listen.said("the clock is"))
    after = detect_played(listen, mic, "Speech", step)
    check(listen, tmp_path, before, after, step)
    assert listen.of("gap") == []


@pytest.mark.live
def test_a_machine_that_slept_for_an_hour_listens_on_with_true_times(
    listen, mic, clock, tmp_path
):
    """Asleep, neither the program nor the sound runs; the clock does."""
    before = detect_played(listen, mic, "Dog")
    listen.send(signal.SIGSTOP)
    mic.sleep()
    time.sleep(1.0)
    clock.step(HOUR)
    mic.wake()
    listen.send(signal.SIGCONT)
    listen.wait_for(lambda: listen.said("the clock is"))
    after = detect_played(listen, mic, "Speech", HOUR)
    check(listen, tmp_path, before, after, HOUR)
    assert sum(gap["offset"] - gap["onset"] for gap in listen.of("gap")) < 10
