"""Process a corpus on a Ray cluster: batches of files to actors.

    batches of files > map_batches(BatchWorker) > a row per batch, for the progress
                              |
                              `- parts, written by the actors

Every node must see OUT and the files under the same names, as on a SLURM cluster. An actor
has a pool of one worker process, so that bad files, limits and crashes are handled as on
one machine, without restarting actors. Ray's retries are for lost nodes; a batch that is
processed twice is written twice under the same name.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from streamsed.corpus.files.listing import Listed
from streamsed.corpus.local_engine import LocalEngine
from streamsed.corpus.pool import Limits, Pool
from streamsed.corpus.status import Status
from streamsed.corpus.tables.parts import PartWriter
from streamsed.corpus.worker import WorkSettings
from streamsed.inference.model_file import ModelInfo
from streamsed.installation import install_command

BATCH_BYTES = 512_000_000
"""Bytes per batch: some 20 s of work for a core."""

BATCH_FILES = 2000
"""Maximum number of files per batch."""

PATIENCE = 20.0
"""Seconds to wait for a cluster to answer."""

BATCHES_EACH = 4
"""Minimum number of batches per actor, so that all end at about the same time."""


class BatchWorker:
    """An actor that processes batches of files and writes their parts.

    Parameters
    ----------
    settings : WorkSettings
        Settings of the worker.
    limits : Limits
        Limits of a file.
    model : ModelInfo
        The worker's model.
    out, shard, stamp
        See `PartWriter`.
    """

    def __init__(
        self,
        settings: WorkSettings,
        limits: Limits,
        model: ModelInfo,
        out: Path,
        shard: str,
        stamp: dict[str, str],
    ) -> None:
        own = replace(settings, staging=settings.staging / secrets.token_hex(8))
        self._engine = LocalEngine(own, model, 1, limits, flush_every=math.inf)
        self._pool = Pool(own, 1, limits)
        self._parts = out, shard, stamp

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process a batch of one row; return the status of its files."""
        text = str(batch["files"][0])
        files = [Listed(*fields) for fields in json.loads(text)]
        writer = PartWriter(*self._parts)
        status = Status(None, len(files), 0)
        self._engine.work(self._pool, files, writer, status)
        done = writer.file_rows()
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        writer.flush(f"{self._parts[1]}-{digest}")
        return {"done": [json.dumps(done)]}


@dataclass
class RayEngine:
    """Process files on a Ray cluster.

    Parameters
    ----------
    settings : WorkSettings
        Settings of the workers.
    model : ModelInfo
        The workers' model.
    limits : Limits
        Limits of a file.
    address : str
        Address for `ray.init`; "local" starts a cluster on this machine.
    n_workers : int or None
        Actors, with one core each; None uses all cores of the cluster.
    """

    settings: WorkSettings
    model: ModelInfo
    limits: Limits
    address: str
    n_workers: int | None

    def run(self, files: Iterable[Listed], writer: PartWriter, status: Status) -> bool:
        """Process files; see `LocalEngine.run`.

        Raises
        ------
        ModuleNotFoundError
            Ray is not installed.
        ConnectionError
            No cluster answers at this address.
        """
        ray = _ray()
        state = "stopped"
        try:
            self._connect(ray)
            n_cores = int(ray.cluster_resources().get("CPU", 0))
            if not n_cores:
                raise ConnectionError(
                    f"--ray-address {self.address}: the cluster has no free cores; see "
                    "`ray status`"
                )
            n_actors = min(n_cores, self.n_workers or n_cores)
            self._work(ray, list(files), n_actors, writer, status)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        finally:
            ray.shutdown()
            status.report(state)
        return state == "finished"

    def _connect(self, ray: Any) -> None:
        local = {"num_cpus": self.n_workers, "include_dashboard": False}
        try:
            _try_port(self.address)
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level="warning",
                **(local if self.address == "local" else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConnectionError(
                f"--ray-address {self.address}: no Ray cluster answers ({error})"
            ) from error

    def _work(
        self,
        ray: Any,
        files: list[Listed],
        n_actors: int,
        writer: PartWriter,
        status: Status,
    ) -> None:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        batches = make_batches(files, n_actors)
        n_actors = min(n_actors, len(batches))
        sizes = {listed.uri: max(0, listed.size) for listed in files}
        done = ray.data.from_items(
            [{"files": text} for text in batches], override_num_blocks=len(batches)
        ).map_batches(
            BatchWorker,
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=n_actors),
            fn_constructor_args=[
                self.settings,
                self.limits,
                self.model,
                *writer.place,
            ],
        )
        for row in done.iter_rows():
            for file in json.loads(row["done"]):
                status.add(
                    file["status"],
                    file["seconds"] or 0.0,
                    sizes[file["uri"]],
                    file["error"] or "",
                )
            status.report()


def make_batches(files: Sequence[Listed], n_actors: int) -> list[str]:
    """Divide files into batches that are neither too large nor too few.

    Parameters
    ----------
    files : sequence of Listed
        In order.
    n_actors : int
        Number of actors.

    Returns
    -------
    list of str
        Batches as JSON: lists of URI, size and etag.

    Examples
    --------
    >>> files = [Listed(f"/{i}.wav", 100, "") for i in range(9)]
    >>> [len(json.loads(batch)) for batch in make_batches(files, 1)]
    [3, 2, 2, 2]
    """
    n_bytes = sum(max(0, listed.size) for listed in files)
    fewest = max(
        BATCHES_EACH * n_actors,
        math.ceil(n_bytes / BATCH_BYTES),
        math.ceil(len(files) / BATCH_FILES),
    )
    n_batches = min(len(files), fewest)
    rows = [list(asdict(listed).values()) for listed in files]
    return [json.dumps(rows[i::n_batches]) for i in range(n_batches)]


def _try_port(address: str) -> None:
    """Check that the port is open: Ray itself would retry for minutes.

    Raises
    ------
    OSError
        It is not.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


def _ray() -> Any:
    """Import Ray, with usage reports disabled."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--engine ray needs Ray: {install_command('ray')}"
        ) from error
    return ray
