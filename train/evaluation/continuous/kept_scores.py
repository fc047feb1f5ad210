"""A folder of scored recordings, kept so that the network need not run again.

::

    FOLDER/about.json   the engine, and a digest of the network that it ran
    FOLDER/truth.json   part and reference of each recording, in order
    FOLDER/NN.npz       its scores

Each recording is written as soon as it is scored, so that interrupted work goes on where it
was. Scores of another engine, another network or other recordings are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamsed.atomic_write import replacing, write
from streamsed.events import Event
from train.evaluation.continuous.recording_scores import RecordingScores
from train.evaluation.continuous.recordings import ScoredRecording
from train.mixing.continuous import Recording

ABOUT, TRUTH = "about.json", "truth.json"
LISTS = ("events", "others", "beds")


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """What scores come from.

    Parameters
    ----------
    engine : str
        Engine and precision, such as "openvino bf16".
    network : str
        Digest of the network, see `train.export.run_scorer`.
    """

    engine: str
    network: str


class KeptScores:
    """Scored recordings in a folder.

    Parameters
    ----------
    folder : Path
        Made with the first recording.

    Raises
    ------
    ValueError
        The folder holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._truth: list[dict[str, Any]] = _read(folder / TRUTH, list) or []
        about = _read(folder / ABOUT, dict)
        self._scored_by = None if about is None else _scored_by(folder / ABOUT, about)

    def __len__(self) -> int:
        return len(self._truth)

    @property
    def engine(self) -> str | None:
        """The engine of the scores, if it is known."""
        return None if self._scored_by is None else self._scored_by.engine

    def begin(self, scored_by: ScoredBy) -> None:
        """Say what the scores in the folder come from, before the first is added.

        Raises
        ------
        ValueError
            There are scores already, and they come from something else or do not say.
        """
        kept = self._scored_by if self._truth else scored_by
        if kept is None:
            raise ValueError(
                f"{self.folder}: does not say which network and engine its scores are of "
                f"({ABOUT} is missing); name another folder for --scored"
            )
        if kept.engine != scored_by.engine:
            engine, precision = kept.engine.split()
            raise ValueError(
                f"{self.folder}: holds scores by {kept.engine}, not {scored_by.engine}; "
                f"use --engine {engine} --precision {precision}, or name another folder "
                "for --scored"
            )
        if kept != scored_by:
            raise ValueError(
                f"{self.folder}: holds scores of another network; name another folder for "
                "--scored"
            )
        if self._scored_by != scored_by:
            self._scored_by = scored_by
            write(self.folder / ABOUT, [json.dumps(asdict(scored_by)) + "\n"])

    def append(self, recording: ScoredRecording) -> None:
        """Write one more recording; its scores first, so that the list is never ahead."""
        with replacing(self._path(len(self))) as draft:
            recording.scores.save(draft)
        self._truth.append(_reference(recording.part, recording))
        write(self.folder / TRUTH, [json.dumps(self._truth)])

    def load(self, index: int) -> ScoredRecording:
        """Read one recording."""
        row = self._truth[index]
        scores = RecordingScores.load(self._path(index))
        try:
            lists = ([Event(**each) for each in row[name]] for name in LISTS)
            return ScoredRecording(row["part"], scores, *lists)
        except (KeyError, TypeError) as error:
            raise _not_kept(self.folder / TRUTH) from error

    def find(self, index: int, part: str, drawn: Recording) -> ScoredRecording | None:
        """Read the scores of a recording if it was scored already.

        Raises
        ------
        ValueError
            Those in its place are of another recording.
        """
        if index >= len(self):
            return None
        found = self.load(index)
        same = self._truth[index] == _reference(part, drawn)
        if not same or found.scores.n_samples != drawn.samples.size:
            raise self._other_recordings()
        return found

    def check_length(self, n_recordings: int) -> None:
        """Raise a ValueError if there are more recordings than that."""
        if len(self) > n_recordings:
            raise self._other_recordings()

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:02d}.npz"

    def _other_recordings(self) -> ValueError:
        return ValueError(
            f"{self.folder}: holds scores of other recordings than those of these banks, "
            "--split, --leave-out, --recordings, --minutes and --seed; name another "
            "folder for --scored"
        )


def save_scored(folder: Path, recordings: Iterable[ScoredRecording]) -> None:
    """Write scored recordings to a new folder, which does not say what scored them."""
    kept = KeptScores(folder)
    for each in recordings:
        kept.append(each)


def load_scored(folder: Path) -> list[ScoredRecording]:
    """Read all recordings of a folder.

    Raises
    ------
    ValueError
        There are none, or the folder holds something else.
    """
    kept = KeptScores(folder)
    if not len(kept):
        raise ValueError(
            f"{folder}: no scored recordings ({TRUTH} is missing); make them with "
            "`python -m train tune --scored`"
        )
    return [kept.load(index) for index in range(len(kept))]


def _reference(part: str, of: Recording | ScoredRecording) -> dict[str, Any]:
    """Return a recording's row of the list, as JSON gives it back."""
    lists = {
        name: [each.to_dict() for each in events]
        for name, events in zip(LISTS, (of.events, of.others, of.beds), strict=True)
    }
    row: dict[str, Any] = json.loads(json.dumps({"part": part, **lists}))
    return row


def _read(path: Path, kind: type) -> Any:
    """Read a JSON file that holds a list or an object; None without a file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _not_kept(path) from error
    if not isinstance(content, kind):
        raise _not_kept(path)
    return content


def _scored_by(path: Path, about: Mapping[str, Any]) -> ScoredBy:
    """Read what scores come from; the engine is a name and a precision."""
    if about.keys() != {"engine", "network"}:
        raise _not_kept(path)
    engine, network = about["engine"], about["network"]
    texts = isinstance(engine, str) and isinstance(network, str)
    if not texts or len(engine.split()) != 2:
        raise _not_kept(path)
    return ScoredBy(engine, network)


def _not_kept(path: Path) -> ValueError:
    return ValueError(
        f"{path}: not written by `python -m train tune --scored`, or damaged; name another "
        "folder"
    )
