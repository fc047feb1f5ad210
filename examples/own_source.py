"""A source of your own: samples from anywhere, here a recording with a hole in it."""

from pathlib import Path

import numpy as np

from streamsed import Detector, StreamConfig, file_chunks
from streamsed.audio.source import Piece
from streamsed.live.listener import Listener
from streamsed.live.sinks.json_lines import JsonLines
from streamsed.samples import Float32, peak_of


class Blocks:
    name, lossless = "blocks", True  # lossless: it waits for the reader

    def __init__(self, samples: Float32, sample_rate: int) -> None:
        self.capture_rate = sample_rate
        hole = Piece(np.zeros(sample_rate, np.float32), missing="a second was lost")
        pieces = [Piece(block, peak=peak_of(block)) for block in np.split(samples, 10)]
        self._pieces = iter([*pieces[:5], hole, *pieces[5:]])

    def read(self) -> list[Piece] | None:
        piece = next(self._pieces, None)
        return None if piece is None else [piece]  # [] says: nothing new yet

    def wait(self, n_samples: int, timeout: float) -> None: ...
    def close(self) -> None: ...
    def notices(self) -> list[str]:
        return []


detector = Detector.load(stream=StreamConfig(step=0.5, latency=1.0))
rate = detector.sample_rate
scene = np.concatenate(list(file_chunks(Path(__file__).parent / "scene.flac")))
source = Blocks(scene[: len(scene) // 10 * 10], rate)
Listener(detector, source, [JsonLines(1)]).run()  # 1 is standard output
