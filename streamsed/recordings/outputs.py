"""The outputs of `streamsed file`, checked before any recording is processed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from streamsed.atomic_write import check_writable, is_device, write
from streamsed.events import Event
from streamsed.inference.model_file import ModelInfo
from streamsed.plots.picture_file import check_picture
from streamsed.recordings.detection import Detection, Recording
from streamsed.recordings.formats import FORMATS, Format, lines, score_lines
from streamsed.recordings.picture import Picture
from streamsed.recordings.plot import plot_detection
from streamsed.terminal import check_stdout, print_lines, printable

SCORES_SUFFIX = ".scores.tsv"
PLOT_SUFFIX = ".png"
FOREIGN = (".json", ".parquet", ".ods", ".xls", ".xlsx")
"""Suffixes of formats that are not written; a file of TSV would not open by such a name."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where to write the results, and in which format.

    Parameters
    ----------
    format_name : str or None
        "table" or one of `FORMATS`; None is that of the file's suffix (.csv, .jsonl), else
        a table on a terminal and tsv elsewhere.
    events, scores, plot : Path or None
        A file, or a folder with a file per recording; None prints the events, and writes
        no scores and no plot.
    folders : frozenset of Path
        Those of them that are folders, even if they do not exist yet.
    picture : Picture
        Which part of a recording is plotted, and how.
    """

    format_name: str | None = None
    events: Path | None = None
    scores: Path | None = None
    plot: Path | None = None
    folders: frozenset[Path] = frozenset()
    picture: Picture = field(default_factory=Picture)

    @property
    def format(self) -> Format | None:
        """The format of events; None is the table."""
        if self.format_name is not None:
            return None if self.format_name == "table" else FORMATS[self.format_name]
        if self.events is None:
            return None if sys.stdout.isatty() else FORMATS["tsv"]
        is_folder = self._is_folder(self.events, needs_folder=False)
        suffix = "" if is_folder else self.events.suffix.lower()
        by_suffix = {each.suffix: each for each in FORMATS.values() if each.many}
        return by_suffix.get(suffix, FORMATS["tsv"])

    def check(self, recordings: Sequence[Recording]) -> None:
        """Check the outputs before the recordings are processed.

        If they are valid, missing folders are created.

        Raises
        ------
        ValueError
            The format is unknown or not possible for this output, or two recordings would
            be written to the same file.
        ModuleNotFoundError
            A plot needs Matplotlib, which is not installed.
        OSError
            An output is not writable.
        """
        if self.format_name not in (None, "table", *FORMATS):
            raise ValueError(
                f"--format must be table, {', '.join(list(FORMATS)[:-1])} or "
                f"{list(FORMATS)[-1]}, not {self.format_name!r}"
            )
        form = self.format
        self._check_suffix()
        if form is None and self.events is not None:
            raise ValueError(
                "--format table is for the terminal; for a file use --format tsv"
            )
        if form and not form.many and self.events is None and len(recordings) > 1:
            raise ValueError(
                f"--format {self.format_name}: {len(recordings)} recordings need a "
                "folder, with a file for each; add --output FOLDER/"
            )
        places = (
            ("--output", self.events, form.suffix if form else "", form and form.many),
            ("--scores", self.scores, SCORES_SUFFIX, False),
            ("--plot", self.plot, PLOT_SUFFIX, False),
        )
        written: list[Path] = []
        plots: list[Path] = []
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
            check_writable(place, option=option)
            inside = [_target_in(place, r, suffix) for r in recordings]
            files = inside if is_folder else [place]
            written += files
            if option == "--plot":
                plots = files
            made.append(place if is_folder else place.parent)
        _check_distinct(written, recordings)
        for path in plots[:1]:  # all are of one kind
            check_picture(path)
        for folder in made:
            folder.mkdir(parents=True, exist_ok=True)

    def _check_suffix(self) -> None:
        if self.format_name is not None or self.events is None:
            return
        suffix = self.events.suffix.lower()
        if suffix in FOREIGN and not self._is_folder(self.events, needs_folder=False):
            raise ValueError(
                f"--output {self.events}: {suffix} is not among the formats; its name may end "
                "with .csv, .tsv or .jsonl"
            )

    def _is_folder(self, place: Path, *, needs_folder: bool) -> bool:
        if place.exists():
            return place.is_dir()
        return place in self.folders or (needs_folder and not place.suffix)

    @property
    def needs_trace(self) -> bool:
        """Whether `write_trace` has anything to write."""
        return self.scores is not None or self.plot is not None

    def write_events(
        self,
        detections: Iterable[Detection],
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Print or write the events of each recording as soon as they are available.

        Parameters
        ----------
        detections : iterable of Detection
            Results, recording by recording.
        about : mapping
            Additional values with each event, if the format allows them, such as the
            SHA-256 of the model.
        """
        form = self.format
        if form is None:
            _print_tables(detections)
        elif self.events is None:
            check_stdout("--output FILE")
            print_lines(lines(form, map(_named, detections), about))
        elif self.events.is_dir():
            for found in detections:
                path = _made(self.events, found.recording, form.suffix)
                write(path, lines(form, [_named(found)], about))
        else:
            write(self.events, lines(form, map(_named, detections), about))

    def write_trace(
        self, found: Detection, info: ModelInfo, *, sha256: str = ""
    ) -> None:
        """Write the scores and the plot of a recording, if requested.

        Parameters
        ----------
        found : Detection
            With a trace if `needs_trace`.
        info : ModelInfo
            Description of the model.
        sha256 : str
            SHA-256 of the model file, for the plot's metadata.
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
    """Return the file for one recording: `place`, or a file in it."""
    return _target_in(place, recording, suffix) if place.is_dir() else place


def _target_in(folder: Path, recording: Recording, suffix: str) -> Path:
    name = Path(recording.name)
    if name.is_absolute() or ".." in name.parts:  # stay inside the folder
        name = Path(name.name)
    return folder / name.with_suffix(suffix)


def _made(place: Path, recording: Recording, suffix: str) -> Path:
    """Return `_target` after creating its folder below `place`."""
    path = _target(place, recording, suffix)
    if place.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _print_tables(detections: Iterable[Detection]) -> None:
    check_stdout("--output FILE")
    console = Console(soft_wrap=True)
    for found in detections:
        console.print(events_table(*_named(found)))


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
    """Return a table of the events of one recording."""
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
