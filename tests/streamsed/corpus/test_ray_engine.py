"""The same rows from a Ray cluster of a head and two nodes, one of which is lost.

STREAMSED_RAY_FILES=200 makes the corpus longer; 30 files by default.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from corpora import rows, write_corpus
from environment import ENVIRONMENT
from ports import free_port

FILES = int(os.environ.get("STREAMSED_RAY_FILES", "30"))

pytest.importorskip("ray", reason="needs Ray: pip install 'streamsed[ray]'")


class Cluster:
    """Ray's own programs, on loopback: a head without cores for work, and nodes."""

    def __init__(self, folder):
        self._environment = ENVIRONMENT | {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_MEMORY_MONITOR": "1",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "10",
        }
        self._folder = folder
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._processes = []
        self._start(
            "--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false"
        )
        self.nodes = [self.add_node() for _ in range(2)]

    def _start(self, *arguments):
        """Start one of Ray's programs, and wait until it says that it runs.

        Ray gives a node half a minute to register; on a busy machine it is started again.
        """
        for _ in range(3):
            process, path = self._launch(arguments)
            deadline = time.monotonic() + 240
            while "Ray runtime started" not in path.read_text():
                if process.poll() is not None:
                    break
                assert time.monotonic() < deadline, path.read_text()
                time.sleep(0.2)
            else:
                return process
        raise AssertionError(path.read_text())

    def _launch(self, arguments):
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        fixed = ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
        store = ["--object-store-memory=80000000"]
        path = self._folder / f"ray-{len(self._processes)}.log"
        with path.open("w") as log:
            process = subprocess.Popen(
                [*command, *fixed, *store, *arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process, path

    def add_node(self):
        return self._start(f"--address={self.address}", "--num-cpus=1")

    def lose(self, node):
        """Kill a node's processes, as a power cut would."""
        for process in descendants(node.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        node.wait()

    def close(self):
        for process in reversed(self._processes):
            if process.poll() is None:
                self.lose(process)


def descendants(pid):
    """A process and all that it started, and these."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
    return found


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_gives_the_rows_of_one_machine(
    tmp_path, cluster, run_corpus
):
    print(f"{FILES} files (STREAMSED_RAY_FILES)")
    recordings = write_corpus(tmp_path / "in", FILES, seconds=(2.0, 20.0))
    once, out = tmp_path / "once", tmp_path / "out"
    assert run_corpus(recordings, "-o", once).returncode == 1
    ray = ["--engine", "ray", "--ray-address", cluster.address, "--workers", "2"]
    command = [sys.executable, "-m", "streamsed", "corpus", recordings, "-o", out, *ray]
    run = subprocess.Popen(
        [str(word) for word in command],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while run.poll() is None and not list((out / "files").glob("*.parquet")):
        time.sleep(0.05)
    assert run.poll() is None, run.stderr.read()
    cluster.lose(cluster.nodes[0])
    cluster.add_node()
    _, errors = run.communicate(timeout=240)
    assert run.returncode == 1, errors
    for table in ("events", "files"):
        assert rows(out, table) == rows(once, table)


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path, recordings, run_corpus):
    ray = ["--engine", "ray", "--ray-address", f"127.0.0.1:{free_port()}"]
    run = run_corpus(recordings, "-o", tmp_path / "out", *ray)
    assert run.returncode == 2
    assert "--ray-address 127.0.0.1" in run.stderr.splitlines()[-1]
