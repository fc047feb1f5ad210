"""A process in which packages are imported, that forks one process for each command.

That saves the second or more that a start takes, a thousand times. Nothing is computed
before the fork, so no thread is lost by it.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

LIGHT = (
    *("streamsed.cli.app", "streamsed.inference.model", "rich.console", "rich.table"),
    "streamsed.inference.openvino:import_openvino",
)
"""What the runtime's commands import, and a function that imports more."""
TRAINING = (*LIGHT, "torch", "train.cli.app")


class Ended(NamedTuple):
    """How a command ended: exit code or -signal, MB at most, seconds of processor time."""

    code: int
    megabytes: float
    seconds: float


class ForkServer:
    """Start commands in processes of their own; one at a time.

    Parameters
    ----------
    modules : sequence of str
        Imported beforehand.
    """

    def __init__(self, modules, *, environment):
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def start(self, package, arguments, *, stdout, stderr):
        """Start `streamsed` or `train`; its output is appended to files."""
        paths = [str(stdout), str(stderr)]
        print(
            json.dumps([package, [str(each) for each in arguments], *paths]),
            file=self._process.stdin,
            flush=True,
        )
        return Running(int(self._process.stdout.readline()), self._process)

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


class Running:
    """A command at work."""

    def __init__(self, pid, server):
        self.pid, self._server = pid, server

    def is_alive(self):
        """Whether it still runs: what has ended waits to be asked about."""
        status = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        return status.rpartition(")")[2].split()[0] not in "ZX"

    def join(self, seconds):
        """Wait for its end, not longer than so many seconds."""
        end = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < end:
            time.sleep(min(0.01, max(0.0, end - time.monotonic())))

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        """Wait for its end and say how it ended; no other may be started before."""
        print("wait", file=self._server.stdin, flush=True)
        return Ended(*json.loads(self._server.stdout.readline()))


def _serve():
    sys.path.insert(0, str(Path.cwd()))
    for name in sys.argv[1:]:
        module, _, function = name.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            _run(*json.loads(line))
        print(pid, flush=True)
        sys.stdin.readline()  # until then its number is its own, though it has ended
        _, status, used = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        seconds = used.ru_utime + used.ru_stime
        print(json.dumps([code, used.ru_maxrss * 1024 / 1e6, seconds]), flush=True)


def _run(package, arguments, stdout, stderr):
    """Be the command."""
    for number, path in ((1, stdout), (2, stderr)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    sys.argv = [package, *arguments]
    code = 1
    try:
        importlib.import_module(f"{package}.cli.app").main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - this process must end here
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
