"""A sink of your own: count the seconds of each label, and print one line for each event."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamsed import Detector, StreamConfig
from streamsed.audio.playback import FileSource
from streamsed.live.listener import Listener
from streamsed.live.sinks.base_sink import BaseSink
from streamsed.pipeline.lifecycle import EventUpdate


class Diary(BaseSink):
    name = "diary"

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def on_record(self, record: Mapping[str, Any], update: EventUpdate | None) -> None:
        if update is not None and update.state == "closed":
            self.seconds[update.event.label] += update.event.duration
            print(f"{record['at']:6.2f} s  {update.event}")


detector = Detector.load(stream=StreamConfig(step=0.5, latency=1.0))
scene = Path(__file__).parent / "scene.flac"  # or Microphone(None, sample_rate=...)
source = FileSource(scene, sample_rate=detector.sample_rate, pace=float("inf"))
Listener(detector, source, [diary := Diary()]).run()
print(*(f"{label}: {seconds:.1f} s" for label, seconds in diary.seconds.items()))
