"""Run `streamsed corpus`: list files, lock the shard, process what is not done.

The same command continues an interrupted run. No other state is kept than the tables: the
files listed in `files` are done, unless they have changed since.
"""

from __future__ import annotations

import errno
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
from streamsed.terminal import print_message, reason_of

MAX_WORKERS = 1024
"""Most worker processes: far above this, a machine does nothing but start them."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota or a file system's files that are full."""


class Runner(Protocol):
    """Processes files, on this machine or on a cluster."""

    def run(self, files: Iterable[Listed], writer: PartWriter, status: Status) -> bool:
        """Process files, write their rows, and return whether all were done."""


@dataclass
class CorpusRun:
    """Detect events in the files of a corpus and write tables.

    Parameters
    ----------
    out : Path
        Folder for the tables; created if necessary.
    shard : Shard
        Which part of the files to process.
    model : str
        Name or path.
    engine : mapping
        Settings of `Model.load`.
    step, settle : float or None
        Seconds; None uses the model's setting.
    detection : DetectionSettings
        How scores become events, and which labels are reported.
    sha256 : str or None
        Required SHA-256 of the model file.
    scores : bool
        Whether to write frame scores too.
    workers : int or None
        Processes; None is one per core.
    limits : Limits
        Limits of a file.
    piece : float
        Seconds; see `WorkSettings`.
    flush_every : float
        Seconds between parts.
    staging : Path or None
        Folder for copies of remote files; None is inside `out`.
    retry_failed : bool
        Whether to retry files that failed before.
    relist : bool
        Whether to list the inputs again.
    ray : str or None
        Address of a Ray cluster, or "local"; None does not use Ray.
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
        """Run and return the exit code (see `streamsed.cli.corpus`)."""
        model, settings, identity = self._load()
        with self._room(), self._locked(inputs, identity):
            todo, stale, done, n_failed = self._to_do()
            if stale:
                forget(self.out, stale)
            status = Status(
                self.out / f"status-{self.shard.name}.json",
                len(done) + len(todo),
                _size(done) + _size(todo),
            )
            status.skip_done(len(done), _size(done), n_failed=n_failed)
            writer = PartWriter(self.out.absolute(), self.shard.name, identity.stamp())
            finished = True
            if todo:
                finished = self._runner(settings, model).run(todo, writer, status)
            else:
                status.report("finished")
        return self._exit_code(status, finished=finished)

    def predict(self, inputs: Sequence[str]) -> Forecast | None:
        """Process a sample of the remaining files, and estimate the cost of all.

        Only the listing is kept.
        """
        model, settings, identity = self._load()
        with self._room(), self._locked(inputs):
            engine = LocalEngine(settings, model, self.n_workers, self.limits)
            return forecast(self._to_do()[0], engine, identity.stamp(), self.out)

    @property
    def n_workers(self) -> int:
        """Processes."""
        return available_cores() if self.workers is None else self.workers

    def _load(self) -> tuple[ModelInfo, WorkSettings, Identity]:
        """Check the settings, and choose the engine for all workers."""
        if not 1 <= self.n_workers <= MAX_WORKERS:
            raise ValueError(
                f"--workers must be from 1 to {MAX_WORKERS}, not {self.n_workers}"
            )
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
        path = Path(self.model)  # workers may have another working directory
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
    def _room(self) -> Iterator[None]:
        """Name the folder in the error of a full disk, whichever file was written."""
        try:
            yield
        except OSError as error:
            cause = error.__cause__ if error.errno is None else error
            if not isinstance(cause, OSError) or cause.errno not in FULL:
                raise
            raise OSError(
                f"--output {self.out}: no room for the tables ({reason_of(cause)}); free "
                "some space, and repeat the command to continue"
            ) from error

    @contextmanager
    def _locked(
        self, inputs: Sequence[str], identity: Identity | None = None
    ) -> Iterator[None]:
        """Make the folder, lock the shard, write the manifest, remove interrupted work."""
        self._make_folder()
        if identity is not None:
            identity.claim(self.out)
        with locked(self.out, self.shard) as others:
            self._list(inputs)
            remove_unfinished(self.out, others)
            yield

    def _list(self, inputs: Sequence[str]) -> None:
        """Write the manifest, unless there is one of the same inputs."""
        if manifest_inputs(self.out) == list(inputs) and not self.relist:
            return
        files = list(list_inputs(inputs, on_message=print_message))
        write_manifest(self.out, inputs, files)

    def _to_do(self) -> tuple[list[Listed], set[str], list[Listed], int]:
        """Return the files to process, the rows to remove first, and the finished files.

        The last value is how many of the finished files failed.

        Rows are removed for files that have changed, that could not be reached, or that
        are to be retried.
        """
        status: dict[bytes, str] = {}
        known = set()
        for table in read_files(self.out, ["uri", "size", "etag", "status"]):
            for row in table.to_pylist():
                if self.shard.contains(row["uri"]):
                    key = key_of(row["uri"], row["size"], row["etag"])
                    twice = key in status  # possible on a cluster that lost a node
                    status[key] = "skipped" if twice else row["status"]
                    known.add(row["uri"])
        again = {"skipped", "failed"} if self.retry_failed else {"skipped"}
        todo: list[Listed] = []
        done: list[Listed] = []
        for listed in read_manifest(self.out, self.shard):
            is_done = status.get(listed.key, "skipped") not in again
            (done if is_done else todo).append(listed)
        n_failed = sum(status[listed.key] == "failed" for listed in done)
        return todo, known.intersection(listed.uri for listed in todo), done, n_failed

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
        bad = counts["failed"] + counts["skipped"] + counts["failed before"]
        good = counts["ok"] + counts["empty"] + counts["done before"]
        return min(1, bad) if good or not bad else 2  # a shard may have no files


def _size(files: Iterable[Listed]) -> int:
    return sum(max(0, listed.size) for listed in files)
