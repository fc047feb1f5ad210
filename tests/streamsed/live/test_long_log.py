"""A night of listening, with its time compressed: what stands in the logs in the end."""

import json
import os
from datetime import datetime

import numpy as np
import pytest
import soundfile
from environment import ENVIRONMENT
from listening import bursts
from sounds import RATE

HOURS = float(os.environ.get("STREAMSED_LOG_HOURS", "0.3"))
KEYS = ("label", "onset", "offset", "score")


def record_night(path, hours):
    """An event every ten seconds, of one label and the other."""
    minute = bursts(
        [("Dog" if n % 2 else "Speech", 10.0 * n + 3, 0.8) for n in range(6)], 60.0
    )
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as out:
        for _ in range(round(60 * hours)):
            out.write(minute)


@pytest.mark.parametrize("limit", ["20kB", "5m"])
def test_a_night_rotates_without_a_lost_or_doubled_event(
    streamsed, model_path, tmp_path, limit
):
    sound, logs = tmp_path / "night.wav", tmp_path / "logs"
    logs.mkdir()
    record_night(sound, HOURS)
    settings = ["--model", model_path, "--step", 5, "--latency", 5, "--settle", 10]
    done = streamsed(
        *["listen", "--file", sound, "--pace", 0, *settings],
        *["--log", logs / "night.jsonl", "--log-rotate", limit],
        timeout=3600,
        env=ENVIRONMENT | {"TZ": "Europe/Berlin"},
    )
    assert done.stderr == ""
    files = sorted(logs.iterdir(), key=lambda path: (path.stem == "night", path.name))
    assert len(files) >= 3
    logged = [[json.loads(line) for line in f.read_text().splitlines()] for f in files]
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    for records in logged[1:]:
        assert records[0]["state"] == "listening"
    kept = [*logged[0], *(r for records in logged[1:] for r in records[1:])]
    assert kept == printed
    closed = [r for r in printed if r["state"] == "closed"]
    filed = streamsed(*["file", sound, *settings, "--format", "jsonl"], timeout=3600)
    expected = [json.loads(line) for line in filed.stdout.splitlines()]
    assert [tuple(r[k] for k in KEYS) for r in closed] == sorted(
        (tuple(r[k] for k in KEYS) for r in expected),
        key=lambda r: (np.round(r[2], 6), r[0] == "Dog"),
    )
    assert len(closed) >= 300 * HOURS
    (began,) = {r["time"] for r in printed if r["state"] == "listening"}
    for record in closed:
        since = datetime.fromisoformat(record["time"]) - datetime.fromisoformat(began)
        assert since.total_seconds() == pytest.approx(record["onset"], abs=0.002)
