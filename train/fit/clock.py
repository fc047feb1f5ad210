"""The clock of a run: how far it is, in steps and in time."""

from __future__ import annotations

import time

from streamsed.progress import Task, task
from train.config.train import TrainConfig
from train.fit.machine.distributed import Parallel


def progress_of(config: TrainConfig, step: int, elapsed: float) -> float:
    """Return how much of a run is over after some steps and seconds, from 0 to 1.

    Examples
    --------
    >>> progress_of(TrainConfig(steps=8), 2, 60.0)
    0.25
    >>> progress_of(TrainConfig(steps=8, minutes=10), 2, 60.0)
    0.1
    """
    if config.minutes is not None:
        return min(elapsed / (60.0 * config.minutes), 1.0)
    return min(step / config.steps, 1.0)


class Clock:
    """Count the steps of a run and the seconds that they took.

    Parameters
    ----------
    config : TrainConfig
        How long the run is, in minutes or in steps.
    parallel : Parallel
        The first process's time counts for all.

    Attributes
    ----------
    step : int
        Steps taken.
    elapsed : float
        Seconds of training, over all interruptions, without the first step after each.
    """

    def __init__(self, config: TrainConfig, parallel: Parallel) -> None:
        self._config, self._parallel = config, parallel
        self.step = 0
        self.elapsed = 0.0
        self.start()

    @property
    def progress(self) -> float:
        """How much of the run is over, from 0 to 1."""
        return progress_of(self._config, self.step, self.elapsed)

    @property
    def done(self) -> float:
        """The steps or, of a run that has a length in time, the minutes so far."""
        return self.step if self._config.minutes is None else self.elapsed / 60

    def is_due(self, since: float) -> bool:
        """Tell whether another of the run's equal parts, `validations` of them, is over.

        Parameters
        ----------
        since : float
            Progress at the last validation.
        """
        n = self._config.validations
        return int(n * self.progress + 1e-9) > int(n * since + 1e-9)

    def to_row(self) -> dict[str, float]:
        """Return where a row of a log is from."""
        return {"step": self.step, "minutes": round(self.elapsed / 60, 2)}

    def task(self) -> Task:
        """Begin to report how far the run is, from where it is."""
        minutes = self._config.minutes
        total, unit = (
            (self._config.steps, "steps") if minutes is None else (minutes, "min")
        )
        training = task("training", total, unit)
        training.resume(self.done)
        return training

    def start(self) -> None:
        """Go on from where the run is; the time until the first `tick` does not count."""
        self._offset, self._start, self._is_warm = self.elapsed, 0.0, False

    def tick(self) -> None:
        """Count a step that ends now."""
        self.step += 1
        if not self._is_warm:  # the first step compiles and fills the queues
            self._start, self._is_warm = time.monotonic(), True
        passed = self._offset + time.monotonic() - self._start
        self.elapsed = self._parallel.broadcast(passed)
