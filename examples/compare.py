"""Detect in a recording and print its events beside a reference: `make demo` does it.

python examples/compare.py RECORDING REFERENCE.tsv
"""

import csv
import sys
from pathlib import Path

from streamsed import Detector, Event, file_chunks


def read_reference(path: Path) -> list[Event]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [
        Event(r["event_label"], float(r["onset"]), float(r["offset"]), 1.0)
        for r in rows
    ]


def main(recording: Path, reference: Path) -> None:
    detector = Detector.load()
    estimated = sorted(detector.events(file_chunks(recording)))
    print(f"{'label':28}{'reference':>16}{'detected':>18}")
    for event in sorted(read_reference(reference) + estimated):
        times = f"{event.onset:6.2f} - {event.offset:5.2f}"
        place = f"{times:>34}" if event in estimated else f"{times:>16}"
        print(f"{event.label:28}{place}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
