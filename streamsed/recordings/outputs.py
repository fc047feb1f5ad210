"""Where the results of `streamsed file` go, checked before any work is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.atomic_write import is_device, write
from streamsed.events import Event
from streamsed.inference.model_file import ModelInfo
from streamsed.recordings.detection import Detection, Recording
from streamsed.recordings.formats import FORMATS, Format, lines, score_lines
from streamsed.recordings.picture import Picture
from streamsed.recordings.plot import plot_detection
from streamsed.terminal import check_stdout, printable

SCORES_SUFFIX = ".scores.tsv"
PLOT_SUFFIX = ".png"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results go.

    Parameters
    ----------
    format_name : str or None
        "table" or one of `FORMATS`; None is a table on a terminal and tsv elsewhere.
    events, scores, plot : Path or None
        A file, or a folder for a file per recording; None prints the events, and writes
        no scores and no picture.
    folders : frozenset of Path
        Those of them that are folders though they may not exist yet.
    picture : Picture
        What of a recording is drawn, and how.
    """

    format_name: str | None = None
    events: Path | None = None
    scores: Path | None = None
    plot: Path | None = None
    folders: frozenset[Path] = frozenset()
    picture: Picture = field(default_factory=Picture)

    @property
    def format(self) -> Format | None:
        """How events are written; None is the table."""
        name = self.format_name
        if name is None:
            name = "table" if self.events is None and sys.stdout.isatty() else "tsv"
        return None if name == "table" else FORMATS[name]

    def check(self, recordings: Sequence[Recording]) -> None:
        """Raise what can be known to be wrong before the recordings are done.

        If nothing is, the folders that are written to are made.

        Raises
        ------
        ValueError
            The format is unknown or does not fit the place, or two recordings would be
            written to one file.
        OSError
            A place to write is missing or not writable.
        """
        if self.format_name not in (None, "table", *FORMATS):
            raise ValueError(
                f"--format must be table, {', '.join(list(FORMATS)[:-1])} or "
                f"{list(FORMATS)[-1]}, not {self.format_name!r}"
            )
        form = self.format
        if form is None and self.events is not None:
            raise ValueError(
                "--format table is for the terminal; for a file use --format tsv"
            )
        places = (
            ("--output", self.events, form.suffix if form else "", form and form.many),
            ("--scores", self.scores, SCORES_SUFFIX, False),
            ("--plot", self.plot, PLOT_SUFFIX, False),
        )
        written: list[Path] = []
        made: list[Path] = []
        for option, place, suffix, many in places:
            if place is None:
                continue
            needs_folder = len(recordings) > 1 and not many
            is_folder = self._is_folder(place, needs_folder=needs_folder)
            if needs_folder and not is_folder:
                raise ValueError(
                    f"{option} {place}: {len(recordings)} recordings need a folder, with "
                    "a file for each; end its name with /"
                )
            _check_writable(option, place)
            targets = [_target_in(place, r, suffix) for r in recordings]
            written += targets if is_folder else [place]
            made.append(place if is_folder else place.parent)
        _check_distinct(written, recordings)
        for folder in made:
            folder.mkdir(parents=True, exist_ok=True)

    def _is_folder(self, place: Path, *, needs_folder: bool) -> bool:
        if place.exists():
            return place.is_dir()
        return place in self.folders or (needs_folder and not place.suffix)

    @property
    def needs_trace(self) -> bool:
        """Whether `write_trace` has anything to write."""
        return self.scores is not None or self.plot is not None

    def deliver(
        self,
        detections: Iterable[Detection],
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Print or write the events of each recording as it is done.

        Parameters
        ----------
        detections : iterable of Detection
            The recordings, each as it is done.
        about : mapping
            What stands beside each event where the format has room for it, such as the
            SHA-256 of the model.
        """
        form = self.format
        if form is None:
            _print_tables(detections)
        elif self.events is None:
            check_stdout("--output FILE")
            on_terminal = sys.stdout.isatty()
            for line in lines(form, map(_named, detections), about):
                # On a terminal, names must not steer it; a program gets them as they are.
                sys.stdout.write(_shown(line) if on_terminal else line)
                sys.stdout.flush()
        elif self.events.is_dir():
            for found in detections:
                path = _made(self.events, found.recording, form.suffix)
                write(path, lines(form, [_named(found)], about))
        else:
            write(self.events, lines(form, map(_named, detections), about))

    def write_trace(
        self, found: Detection, info: ModelInfo, *, sha256: str = ""
    ) -> None:
        """Write the scores and the picture of a recording, if they are asked for.

        Parameters
        ----------
        found : Detection
            With a trace where `needs_trace`.
        info : ModelInfo
            Labels and grid of the model that found it.
        sha256 : str
            Of the model file; it stands in the picture.
        """
        if self.scores is not None and found.trace is not None:
            path = _made(self.scores, found.recording, SCORES_SUFFIX)
            grid = (info.labels, info.frontend, found.n_samples)
            write(path, score_lines(found.trace.scores, *grid))
        if self.plot is not None and found.trace is not None:
            path = _made(self.plot, found.recording, PLOT_SUFFIX)
            plot_detection(path, found, info, self.picture, sha256=sha256)


def _named(found: Detection) -> tuple[str, list[Event]]:
    return found.recording.name, found.events


def _target(place: Path, recording: Recording, suffix: str) -> Path:
    """Return the file for one recording: `place`, or the recording's own in it."""
    return _target_in(place, recording, suffix) if place.is_dir() else place


def _target_in(folder: Path, recording: Recording, suffix: str) -> Path:
    name = Path(recording.name)
    if name.is_absolute() or ".." in name.parts:  # stay inside the folder
        name = Path(name.name)
    return folder / name.with_suffix(suffix)


def _made(place: Path, recording: Recording, suffix: str) -> Path:
    """Return `_target` after making the folders that it is in below `place`."""
    path = _target(place, recording, suffix)
    if place.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _shown(line: str) -> str:
    """Return a line for a terminal: its tabs and its end stay."""
    cells = line.removesuffix("\n").split("\t")
    return "\t".join(map(printable, cells)) + "\n"


def _print_tables(detections: Iterable[Detection]) -> None:
    check_stdout("--output FILE")
    console = Console(soft_wrap=True)
    for found in detections:
        console.print(events_table(*_named(found)))


def _check_writable(option: str, place: Path) -> None:
    written = place if place.is_dir() or is_device(place) else place.resolve().parent
    while not written.exists():
        written = written.parent
    if not (written.is_dir() or is_device(written)):
        raise NotADirectoryError(f"{option} {place}: {written} is a file, not a folder")
    if not os.access(written, os.W_OK):
        raise PermissionError(
            f"{option} {place}: cannot write to {written}; choose another folder"
        )


def _check_distinct(written: Sequence[Path], recordings: Sequence[Recording]) -> None:
    """Raise ValueError where a file would be written twice, or over a recording."""
    seen: set[Path] = set()
    inputs = {recording.path.resolve() for recording in recordings}
    for path in written:
        target = path.resolve()
        if target in inputs:
            raise ValueError(
                f"the output {path} is one of the recordings; choose another file"
            )
        if target in seen and not is_device(path):
            raise ValueError(
                f"the output {path} would be written twice; choose different files, "
                "rename the recordings, or process them one by one"
            )
        seen.add(target)


def events_table(name: str, events: Sequence[Event]) -> RenderableType:
    """Show the events of one recording, or say that there are none."""
    if not events:
        return Text(f"{printable(name)}: no events")
    table = Table(
        title=Text(printable(name)), title_justify="left", box=None, pad_edge=False
    )
    for column in ("onset", "offset", "duration", "score"):
        table.add_column(column, justify="right")
    table.add_column("label")
    for event in events:
        times = (event.onset, event.offset, event.duration)
        score, label = (
            f"{event.score:.2f}",
            Text(printable(event.label)),
        )  # Text: no [markup] in it
        table.add_row(*(f"{t:.3f}" for t in times), score, label)
    return table
