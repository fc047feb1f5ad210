"""One run of `streamsed corpus`: list, lock, look at what is done, do the rest.

A run that was interrupted is gone on with by the same command. Nothing else is kept but
the tables: what `files` names is done, unless the file has changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from streamsed.corpus.files.listing import (
    Listed,
    list_inputs,
    manifest_inputs,
    read_manifest,
    write_manifest,
)
from streamsed.corpus.files.shards import Shard, locked
from streamsed.corpus.forecast import Forecast, forecast
from streamsed.corpus.identity import Identity
from streamsed.corpus.local_engine import LocalEngine
from streamsed.corpus.pool import Limits
from streamsed.corpus.status import Status
from streamsed.corpus.tables.parts import (
    PartWriter,
    forget,
    key_of,
    read_files,
    remove_unfinished,
)
from streamsed.corpus.worker import WorkSettings
from streamsed.detection_settings import DetectionSettings, stream_for
from streamsed.inference.cpu import available_cores
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelInfo
from streamsed.terminal import say


class Runner(Protocol):
    """What does the files: processes of this machine, or a cluster."""

    def run(self, files: Iterable[Listed], writer: PartWriter, status: Status) -> bool:
        """Do files, write their rows, and say whether all were done."""


@dataclass
class CorpusRun:
    """Detect in the files of a corpus and write tables.

    Parameters
    ----------
    out : Path
        Where the tables are written; is made if its parent exists.
    shard : Shard
        Which part of the files to do.
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    step, settle : float or None
        Seconds; None is the model's own.
    detection : DetectionSettings
        How scores become events, and which labels are reported.
    sha256 : str or None
        What the model file's SHA-256 must be.
    scores : bool
        Whether to write frame scores too.
    workers : int or None
        Processes; None is one for each core.
    limits : Limits
        What a file may take.
    piece : float
        Seconds; see `WorkSettings`.
    flush_every : float
        Seconds between two parts.
    staging : Path or None
        For copies of remote files; None is inside `out`.
    retry_failed : bool
        Whether to do files again that failed before.
    relist : bool
        Whether to list the inputs again.
    ray : str or None
        Address of a Ray cluster, or "local"; None does without Ray.
    """

    out: Path
    shard: Shard
    model: str
    engine: Mapping[str, Any]
    step: float | None
    settle: float | None
    detection: DetectionSettings
    sha256: str | None = None
    scores: bool = False
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    piece: float = 1200.0
    flush_every: float = 60.0
    staging: Path | None = None
    retry_failed: bool = False
    relist: bool = False
    ray: str | None = None

    def run(self, inputs: Sequence[str]) -> int:
        """Do it all and return the exit code (see `streamsed.cli.corpus`)."""
        model, settings, identity = self._load()
        self._make_folder()
        identity.claim(self.out)
        with self._locked(inputs):
            todo, stale, done = self._to_do()
            if stale:
                forget(self.out, stale)
            status = Status(
                self.out / f"status-{self.shard.name}.json",
                len(done) + len(todo),
                _size(done) + _size(todo),
            )
            status.skip_done(len(done), _size(done))
            writer = PartWriter(self.out.absolute(), self.shard.name, identity.stamp())
            finished = True
            if todo:
                finished = self._runner(settings, model).run(todo, writer, status)
            else:
                status.report("finished")
        return self._exit_code(status, finished=finished)

    def predict(self, inputs: Sequence[str]) -> Forecast | None:
        """Do a sample of what is to be done, and predict what all of it takes.

        The listing stays, and nothing else.
        """
        model, settings, identity = self._load()
        self._make_folder()
        with self._locked(inputs):
            engine = LocalEngine(settings, model, self.n_workers, self.limits)
            return forecast(self._to_do()[0], engine, identity.stamp(), self.out)

    @property
    def n_workers(self) -> int:
        """Processes."""
        return available_cores() if self.workers is None else self.workers

    def _load(self) -> tuple[ModelInfo, WorkSettings, Identity]:
        """Check the settings, and choose the engine that all workers load."""
        if self.n_workers < 1:
            raise ValueError("--workers must be 1 or more")
        engine = dict(self.engine) | {"threads": 1, "sha256": self.sha256}
        model = Model.load(self.model, **engine, n_parallel=1)
        info = model.info
        settle = info.stream.settled if self.settle is None else self.settle
        stream = stream_for(info, step=self.step, latency=settle, settle=settle)
        post = self.detection.post_for(info, settle=stream.settled)
        labels = self.detection.reported(info.labels)
        if not self.piece >= info.frontend.segment_duration:
            raise ValueError(
                f"--piece must be at least one segment "
                f"({info.frontend.segment_duration:.3g} s), not {self.piece:g}"
            )
        identity = Identity.of(model, stream, post, labels=labels, scores=self.scores)
        chosen = {"engine": model.chosen.engine, "precision": model.chosen.precision}
        folder = self.staging or self.out / ".staging"
        path = Path(self.model)  # workers may be elsewhere
        settings = WorkSettings(
            model=str(path.absolute()) if path.is_file() else self.model,
            engine=engine | chosen,
            stream=stream,
            post=post,
            labels=labels,
            keep_scores=self.scores,
            piece=self.piece,
            staging=folder.absolute() / f"streamsed-{self.shard.name}",
        )
        return info, settings, identity

    def _make_folder(self) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise NotADirectoryError(f"--output {self.out}: is a file, not a folder")
        self.out.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _locked(self, inputs: Sequence[str]) -> Iterator[None]:
        """Hold the shard, with the manifest written and interrupted work removed."""
        with locked(self.out, self.shard) as others:
            self._list(inputs)
            remove_unfinished(self.out, others)
            yield

    def _list(self, inputs: Sequence[str]) -> None:
        """Write the manifest, unless it was made from the same inputs."""
        if manifest_inputs(self.out) == list(inputs) and not self.relist:
            return
        files = list(list_inputs(inputs, on_error=lambda text: say(f"error: {text}")))
        write_manifest(self.out, inputs, files)

    def _to_do(self) -> tuple[list[Listed], set[str], list[Listed]]:
        """Return what is to be done in this shard, what to forget first, what is done.

        Rows are forgotten of files that have changed since, that could not be reached, or
        that are to be tried again.
        """
        status: dict[bytes, str] = {}
        known = set()
        for table in read_files(self.out, ["uri", "size", "etag", "status"]):
            for row in table.to_pylist():
                if self.shard.holds(row["uri"]):
                    key = key_of(row["uri"], row["size"], row["etag"])
                    twice = key in status  # by a cluster that lost a node, at the worst
                    status[key] = "skipped" if twice else row["status"]
                    known.add(row["uri"])
        again = {"skipped", "failed"} if self.retry_failed else {"skipped"}
        todo: list[Listed] = []
        done: list[Listed] = []
        for listed in read_manifest(self.out, self.shard):
            is_done = status.get(listed.key, "skipped") not in again
            (done if is_done else todo).append(listed)
        return todo, known.intersection(listed.uri for listed in todo), done

    def _runner(self, settings: WorkSettings, model: ModelInfo) -> Runner:
        if self.ray is not None:
            from streamsed.corpus.ray_engine import RayEngine

            return RayEngine(settings, model, self.limits, self.ray, self.workers)
        return LocalEngine(
            settings, model, self.n_workers, self.limits, self.flush_every
        )

    def _exit_code(self, status: Status, *, finished: bool) -> int:
        counts: Counter[str] = status.counts
        if not finished:
            return 130
        bad = counts["failed"] + counts["skipped"]
        good = counts["ok"] + counts["empty"] + counts["done before"]
        return min(1, bad) if good else 2


def _size(files: Iterable[Listed]) -> int:
    return sum(max(0, listed.size) for listed in files)
