"""Score a folder of recordings into a pandas frame: one row per score frame, or per file."""

import sys
from pathlib import Path

import pandas as pd

from streamsed import Detector, file_chunks
from streamsed.audio.decode import audio_files
from streamsed.pipeline.trace import Trace


def scores_of(detector: Detector, path: Path) -> pd.DataFrame:
    """Return final scores with a column per label, indexed by file and second."""
    trace, info = Trace(), detector.model.info
    chunks = file_chunks(path, sample_rate=detector.sample_rate)
    list(detector.events(chunks, observer=trace))
    seconds = [i * info.frontend.score_frame_duration for i in range(len(trace.scores))]
    index = pd.MultiIndex.from_product([[path.name], seconds], names=["file", "second"])
    return pd.DataFrame(trace.scores, index, columns=list(info.labels))


def main(folder: Path) -> None:
    detector = Detector.load()
    frame = pd.concat(scores_of(detector, path) for path in audio_files(folder))
    print(frame.groupby("file").max().round(2).T.to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
