"""Clips of a source of many: stored with their events, and passed on to commands."""

import json
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta

import pytest
import soundfile
from listening import bursts
from serve_records import Sounds
from serving import BARKS, KeptRecords, Played, home_of, visit_all, wait_for
from sounds import RATE

from streamsed.config import StreamConfig
from streamsed.detector import Detector
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.speech_guard import SpeechGuard
from streamsed.serve import outputs
from streamsed.serve.channels.channel import Channel
from streamsed.serve.fan_out import FanOut
from streamsed.serve.outputs import OutputContext, change_outputs
from streamsed.serve.settings import ExecSettings, SourceSettings, StoreSettings
from streamsed.serve.store.reader import StoreReader

KEEP = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
CONTEXT = OutputContext(model="tiny", disarmed=(), on_arm=lambda *_: None)


def command_that_keeps(out):
    command = (sys.executable, "-c", KEEP, str(out))
    return ExecSettings(command, on=("closed",), timeout=60.0)


def records_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def kitchen(model, source, fan_out, own_sinks):
    return Channel(
        SourceSettings(name="kitchen", url="file:///x"),
        Detector(model, stream=StreamConfig(step=1.0, latency=1.0, settle=10.0)),
        source,
        fan_out,
        own_sinks=own_sinks,
    )


@pytest.fixture
def kept(tmp_path, model, monkeypatch):
    """A function that detects in sound, and returns stored events and a command's records."""

    monkeypatch.setattr(outputs, "PATIENCE", 60.0)  # that commands have in the end

    def detect(samples, own_sinks):
        out, path = tmp_path / "out.jsonl", tmp_path / "home.db"
        fan_out = FanOut([])
        command = (command_that_keeps(out), True, ())
        wanted = {"exec": command, "store": StoreSettings(path)}
        change_outputs({}, wanted, CONTEXT, fan_out)
        source = Played()
        channel = kitchen(model, source, fan_out, own_sinks)
        source.give(samples)
        visit_all(channel, source)
        channel.end()
        fan_out.close()
        assert fan_out.failures() == {}
        with StoreReader(path) as store:
            return list(store.events()), records_in(out)

    return detect


def test_a_clip_belongs_to_the_event_of_its_source_for_store_and_command(
    kept, tmp_path
):
    def clips(_, on_saved):
        folder = tmp_path / "clips"
        return [
            ClipSink(
                ClipFolder(folder, max_bytes=10**9), sample_rate=RATE, on_saved=on_saved
            )
        ]

    events, records = kept(bursts(BARKS, 12), clips)
    written = {str(path) for path in (tmp_path / "clips").iterdir()}
    assert len(written) == 3
    assert {event.clip for event in events} == written
    assert {record["clip"] for record in records} == written
    assert {record["source"] for record in records} == {"kitchen"}


def test_a_command_is_run_for_an_event_whose_clip_has_speech(kept, tmp_path):
    def clips(detector, on_saved):
        guard = SpeechGuard(detector.model.info)
        guard.limit = 0.0  # everything is speech
        guard.watch(detector)
        return [
            ClipSink(
                ClipFolder(tmp_path / "clips", max_bytes=10**9),
                sample_rate=RATE,
                guard=guard,
                on_saved=on_saved,
            )
        ]

    events, records = kept(bursts(BARKS, 12), clips)
    assert not list((tmp_path / "clips").iterdir())
    assert [event.clip for event in events] == [None] * 3
    assert [record["label"] for record in records] == ["Dog", "Speech", "Dog"]
    assert not any("clip" in record for record in records)


def test_clips_that_cannot_be_written_are_reported_with_their_source(model, tmp_path):
    def clips(_, on_saved):
        sink = ClipSink(
            ClipFolder(tmp_path / "clips", max_bytes=10**9), sample_rate=RATE
        )
        (tmp_path / "clips").rmdir()
        return [sink]

    source, reported = Played(), KeptRecords()
    channel = kitchen(model, source, FanOut([reported]), clips)
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    texts = [record["text"] for record in reported.of("notice")]
    assert texts
    assert all(text.startswith("kitchen: clips: ") for text in texts)
    assert "3 failed ([Errno 2] No such file or directory" in texts[-1]


def test_a_clip_sink_that_fails_at_its_end_is_reported_with_its_source(model):
    class Unclosable(KeptRecords):
        name = "clips"

        def close(self):
            raise ValueError("no thread")

    source, reported = Played(), KeptRecords()
    channel = kitchen(model, source, FanOut([reported]), lambda *_: [Unclosable()])
    channel.end()
    texts = [record["text"] for record in reported.of("notice")]
    assert texts == ["kitchen: clips: not closed properly: no thread"]


def test_clips_that_cannot_be_saved_any_more_do_not_end_detection(model):
    def clips(*_):
        if reported.of("started"):
            raise NotADirectoryError("--save-clips clips: is a file, not a folder")
        return []

    class WaitingForClips(KeptRecords):
        labels = ()

        def on_clip(self, record, _):
            self.labels += (record["label"],)

    source, reported = Played(), WaitingForClips()
    channel = kitchen(model, source, FanOut([reported]), clips)
    channel.recover("it broke")
    source.give(bursts(BARKS, 12))
    visit_all(channel, source)
    channel.end()
    assert len(reported.of("closed")) == 3
    assert reported.labels == ("Dog", "Speech", "Dog")
    [text] = [r["text"] for r in reported.of("notice") if "no clips" in r["text"]]
    assert text.startswith("kitchen: no clips until the next gap or restart: ")
    assert text.endswith("clips: is a file, not a folder")


@pytest.mark.slow
def test_a_reload_with_a_folder_that_cannot_be_made_leaves_the_sources_alone(
    tmp_path, model
):
    path = tmp_path / "barks.flac"
    soundfile.write(path, bursts([("Dog", 0.5, 0.5)], 2), RATE)
    sources = {"hall": {"url": f"file://{path}", "loop": True}}
    with home_of(tmp_path, model, **sources) as home:
        home.wait_until("hall", "running")
        for folder in (path, path / "clips"):
            home.text = f'[clips]\npath = "{folder}"'
            with pytest.raises(
                OSError, match=rf"^\[clips\] path: {re.escape(str(folder))}: "
            ):
                home.service.reload(home.settings(sources))
        home.wait_listened("hall", 0.5)


@pytest.mark.slow
def test_the_service_stores_the_clips_of_a_recording(tmp_path, model):
    path = tmp_path / "barks.flac"
    soundfile.write(path, bursts([("Dog", 0.5, 0.5), ("Dog", 2.5, 0.5)], 4), RATE)
    text = (
        f'[store]\npath = "{tmp_path}/home.db"\n'
        f'[clips]\npath = "{tmp_path}/clips"\nsave_speech = true'
    )
    with home_of(tmp_path, model, text=text, hall={"url": f"file://{path}"}) as home:
        home.wait_until("hall", "ended")
        wait_for(lambda: len(list((tmp_path / "clips").glob("*.flac"))) == 2)
    with StoreReader(tmp_path / "home.db") as store:
        clips = [event.clip for event in store.events()]
    assert sorted(clips) == sorted(map(str, (tmp_path / "clips").glob("*.flac")))


def test_clips_that_are_too_old_are_deleted_even_if_no_source_is_there(tmp_path, model):
    folder = tmp_path / "clips"
    sink = ClipSink(ClipFolder(folder, max_bytes=10**9), sample_rate=RATE)
    sink.on_samples(bursts(BARKS, 12))
    for days in (40, 20):
        record, update = Sounds().event("closed", days, 1.0, 2.0)
        when = datetime.now(UTC) - timedelta(days=days)
        sink.on_record(record | {"time": when.isoformat()}, update)
    sink.close()
    old, kept = sorted(folder.iterdir())
    renamed = folder / "streamsed-20200101T000000Z-mine.flac"
    shutil.copy(old, renamed)  # a name of the user's
    text = f'[clips]\npath = "{folder}"\ndays = 30'
    away = {"url": f"file://{tmp_path}/later.wav"}
    with home_of(tmp_path, model, text=text, hall=away):
        wait_for(lambda: not old.exists())
        assert sorted(folder.iterdir()) == [renamed, kept]
