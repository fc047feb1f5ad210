"""Sources of this machine: microphones, pipes and recordings."""

import contextlib
import os
import threading
import time

import numpy as np
import pytest
import soundfile
from listening import bursts
from serving import home_of
from sounds import RATE

from streamsed.config import StreamConfig
from streamsed.detection_settings import DetectionSettings
from streamsed.detector import Detector

pytestmark = pytest.mark.slow

BARKS = [("Dog", 0.5, 0.5), ("Dog", 2.5, 0.5), ("Dog", 4.5, 0.5)]


@pytest.mark.live
def test_two_microphones_are_recorded_and_the_loss_of_one_is_not_the_others(
    mic, tmp_path, model, monkeypatch
):
    for name, value in mic.environment.items():
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(mic.second())
        sources = {"hall": {"device": "mic.monitor"}, "room": {"device": other}}
        with home_of(tmp_path, model, **sources) as home:
            home.wait_until("hall", "running")
            home.wait_until("room", "running")
            runs = len(home.reported.of("started", source="hall"))
            mic.play(bursts([("Dog", 0.5, 0.5)], 1.5))
            mic.play(bursts([("Speech", 0.5, 0.5)], 1.5), sink="other")
            home.wait_for(lambda: "Dog" in dict(home.closed("hall")))
            home.wait_for(lambda: "Speech" in dict(home.closed("room")))
            before = home.status("hall").lost
            stack.close()  # pulls the plug of the second
            home.wait_until("room", "waiting")
            home.wait_listened("hall", 2.0)
            assert home.status("hall").lost == before
            stack.enter_context(mic.second())
            home.wait_until("room", "running")
            assert home.status("hall").lost == before
    assert len(home.reported.of("started", source="hall")) == runs
    reported = [record["text"] for record in home.reported.of("notice", source="room")]
    assert [text for text in reported if "other.monitor" in text]
    assert [text for text in reported if "is back" in text]


def test_each_source_is_detected_in_as_its_own_settings_say(
    tmp_path, model, monkeypatch
):
    soundfile.write(tmp_path / "a.wav", bursts(BARKS, 6), RATE)
    seen = []

    def detector(model, *, stream, post):
        seen.append((stream, post.per_label("min_gap", model.info.labels)))
        return Detector(model, stream=stream, post=post)

    monkeypatch.setattr("streamsed.serve.service.Detector", detector)
    url, settings = str(tmp_path / "a.wav"), DetectionSettings({"min_gap": 0.7})
    sources = {"hall": {"url": url}, "room": {"url": url, "detection": settings}}
    with home_of(tmp_path, model, **sources):
        stream = StreamConfig(step=0.5, latency=1.0, settle=2.0)
        assert seen == [(stream, [0.2, 0.2]), (stream, [0.7, 0.7])]


@pytest.mark.live
def test_a_microphone_that_is_not_connected_yet_is_waited_for(
    mic, tmp_path, model, monkeypatch
):
    for name, value in mic.environment.items():
        monkeypatch.setenv(name, value)
    sources = {"hall": {"device": "mic.monitor"}, "attic": {"device": "loft.monitor"}}
    with home_of(tmp_path, model, **sources) as home:
        home.wait_until("hall", "running")
        home.wait_until("attic", "waiting")
        assert "loft.monitor" in home.status("attic").reason
        home.wait_listened("hall", 0.5)
        lost = home.status("hall").lost
        with mic.second("loft"):
            home.wait_until("attic", "running")
            home.wait_listened("attic", 0.5)
            assert home.status("hall").lost == lost


def test_a_fifo_outlives_its_writers_and_the_time_between_them_is_a_gap(
    tmp_path, model
):
    fifo = tmp_path / "pipe.raw"
    os.mkfifo(fifo)
    source = {"url": f"file://{fifo}", "rate": RATE, "encoding": "f32"}
    with home_of(tmp_path, model, pipe=source) as home:
        home.wait_until("pipe", "starting", "waiting")
        for _ in range(2):
            before = len(home.closed("pipe", "Dog"))
            write(fifo, bursts(BARKS[:2], 4.0))
            home.wait_for(lambda n=before: len(home.closed("pipe", "Dog")) >= n + 2)
            home.wait_until("pipe", "waiting")
        status = home.status("pipe")
        assert abs(status.listened - 8.0) < 0.1
        home.wait_for(lambda: abs(lasted(home, "pipe") - home.service_clock()) < 2.0)
    dogs = [onset for _, onset in home.closed("pipe", "Dog")]
    assert np.abs(np.diff(dogs)[[0, 2]] - 2.0).max() < 0.05


def lasted(home, name):
    """Seconds of a source's time line."""
    status = home.status(name)
    return status.listened + status.lost + status.queued


def write(fifo, samples):
    """Write samples into a fifo from a thread, as fast as they are read."""

    def run():
        with fifo.open("wb", buffering=0) as stream:
            data = memoryview(samples.astype("<f4").tobytes())
            while data:
                data = data[stream.write(data) :]

    threading.Thread(target=run, daemon=True).start()


def test_recordings_are_played_at_their_pace_and_end_or_begin_again(tmp_path, model):
    path = tmp_path / "scene.wav"
    soundfile.write(path, bursts(BARKS, 6.0), RATE)
    sources = {
        "once": {"url": f"file://{path}"},
        "again": {"url": f"file://{path}", "loop": True},
        "later": {"url": f"file://{tmp_path}/later.wav"},
    }
    began = time.monotonic()
    with home_of(tmp_path, model, **sources) as home:
        home.wait_until("later", "waiting")
        assert (
            home.status("later").reason
            == f"{tmp_path}/later.wav: No such file or directory"
        )
        home.wait_until("once", "ended")
        assert time.monotonic() - began >= 5.9
        assert home.closed("once") == [
            ("Dog", pytest.approx(t, abs=0.1)) for _, t, _ in BARKS
        ]
        assert home.status("once").listened == 6.0
        assert (
            home.reported.of("notice", source="once")[-1]["text"] == "once: has ended"
        )
        home.wait_for(lambda: len(home.closed("again", "Dog")) >= 4)
        dogs = [onset for _, onset in home.closed("again", "Dog")]
        assert dogs[3] == pytest.approx(6.5, abs=0.1)
        assert home.status("again").lost == 0.0


def test_a_file_read_again_leaves_sources_that_did_not_change_alone(tmp_path, model):
    path = tmp_path / "scene.wav"
    soundfile.write(path, bursts(BARKS, 6.0), RATE)
    kept = {"url": f"file://{path}", "loop": True}
    log, more = tmp_path / "log.jsonl", tmp_path / "more.jsonl"
    text = f"[log]\npath = '{log}'\n"
    with home_of(tmp_path, model, text=text, kept=kept, gone=kept) as home:
        home.wait_listened("kept", 2.0)
        home.text = f"[log]\npath = '{more}'\n"
        n_before = len(home.reported.of("status", source="kept"))
        home.service.reload(home.settings({"kept": kept, "new": kept}))
        n_after = len(home.reported.of("status", source="kept"))
        assert n_after > n_before  # an output that is new knows at once
        assert [s.name for s in home.service.sources()] == ["kept", "new"]
        home.wait_for(lambda: len(home.closed("kept", "Dog")) >= 4)
        home.wait_for(lambda: abs(lasted(home, "kept") - home.service_clock()) < 2.0)
        home.text = f"[store]\npath = '{tmp_path}'\n"  # a folder is no store
        with pytest.raises((OSError, ValueError)):
            home.service.reload(home.settings({"other": kept}))
        assert [s.name for s in home.service.sources()] == ["kept", "new"]
    assert len({r["run"] for r in home.reported.of("started", source="kept")}) == 1
    assert len(home.reported.of("stopped", source="gone")) == 1
    dogs = [onset for _, onset in home.closed("kept", "Dog")]
    assert np.abs(np.diff(dogs[:3]) - 2.0).max() < 0.05
    assert '"source": "gone"' in log.read_text()
    assert '"source": "new"' in more.read_text()


def test_a_machine_that_is_too_slow_skips_segments_of_each_source_alike(
    tmp_path, model, monkeypatch
):
    score = model.score

    def slow(features):
        time.sleep(0.15)  # a dozen sources would take it more than a second each half
        return score(features)

    monkeypatch.setattr(model, "score", slow)
    monkeypatch.setattr("streamsed.serve.service.available_cores", lambda: 1)
    path = tmp_path / "scene.wav"
    soundfile.write(path, bursts(BARKS, 6.0), RATE)
    sources = {f"s{i}": {"url": f"file://{path}", "loop": True} for i in range(12)}
    with home_of(tmp_path, model, **sources) as home:
        home.wait_for(lambda: min(s.n_skipped for s in home.service.sources()) >= 3)
        statuses = home.service.sources()
        assert min(s.listened for s in statuses) > 0.3 * max(
            s.listened for s in statuses
        )
        assert all(s.lost == 0.0 for s in statuses)
        assert home.service.scheduler.load > 0.5
