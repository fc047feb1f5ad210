"""What came of each run of the ablations, written beside its checkpoints.

::

    FOLDER/ablations.md              the rows of all runs that are finished in the folder
    FOLDER/NAME-SEED/outcome.json    what a row is made of

So a table may be made in parts, by several commands one after another or at once, and none
of its runs is scored twice. All runs of a folder have the same settings and data: a command
with others is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from streamsed.atomic_write import write
from train.config.train import TrainConfig
from train.fit.checkpoint import LAST, read_checkpoint, refuse_other_settings

OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Macro event F1 of one run.

    Parameters
    ----------
    plain, connected : float
        The checkpoint of lowest validation loss, without and with connect & cut; of the
        baseline that of highest F1 on the clips it holds out, with a median filter instead
        in both.
    ensemble, both : float
        The four of lowest validation loss, without and with connect & cut.
    last : float
        The last checkpoint with connect & cut, or the median filter. The lowest loss is
        often that of an early checkpoint, before the parts of a network have shown what
        they bring; the last has all of the training.
    data : str
        What it was trained and measured on, and whether that compares with the report.
    training : str
        How it was trained.
    lacking : sequence of str
        Sets that it should have been trained on and was not.
    commit : str
        That of the code that scored it.
    """

    plain: float
    connected: float
    ensemble: float
    both: float
    last: float
    data: str = ""
    training: str = ""
    lacking: Sequence[str] = ()
    commit: str = "unknown"

    def save(self, run: Path) -> None:
        """Write it to the folder of its run."""
        write(run / OUTCOME, [json.dumps(asdict(self), indent=1) + "\n"])

    @classmethod
    def load(cls, run: Path) -> Outcome | None:
        """Read that of a run; None if it has none, or no longer its checkpoint.

        Raises
        ------
        ValueError
            The file is damaged.
        """
        path = run / OUTCOME
        if not (path.is_file() and (run / LAST).is_file()):
            return None
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: damaged; remove it, and the run is scored again"
            ) from error


def outcomes_in(folder: Path, names: Iterable[str]) -> dict[str, dict[int, Outcome]]:
    """Read the outcomes of all runs of a folder that are finished, by name and seed.

    Parameters
    ----------
    folder : Path
        With a folder NAME-SEED for each run.
    names : iterable of str
        Those that count, in the order of the result.
    """
    found: dict[str, dict[int, Outcome]] = {}
    for name in names:
        runs = {
            int(seed): path.parent
            for path in folder.glob(f"{name}-*/{OUTCOME}")
            if (seed := path.parent.name.removeprefix(f"{name}-")).isdecimal()
        }
        for number, run in sorted(runs.items()):
            outcome = Outcome.load(run)
            if outcome is not None:
                found.setdefault(name, {})[number] = outcome
    return found


def refuse_other_run(run: Path, config: TrainConfig) -> None:
    """Raise a ValueError if a finished run has other settings than a command gives it."""
    before = read_checkpoint(run / LAST)["config"]
    refuse_other_settings(before, config, run / LAST, may_change=("threads",))
