"""Commands that are killed by SIGKILL at random moments, and what must stand then.

Each command runs in a process that is forked from a server in which the packages are
imported, but nothing was computed: that saves the seconds that a start takes.
"""

import contextlib
import json
import multiprocessing
import os
import sys
import time

import soundfile

PRELOADED = ("streamsed.inference.model", "streamsed.cli.app", "train.cli.app", "torch")


def command_server():
    """Return what starts processes with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def run_command(package, arguments, output):
    """Be the command; its output and errors go to a file."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = [package, *map(str, arguments)]
    if package == "train":
        from train.cli.app import main
    else:
        from streamsed.cli.app import main
    main()


class Killer:
    """Start commands, and kill them.

    Parameters
    ----------
    context : multiprocessing context
        See `command_server`.
    folder : Path
        What the commands write into, and nobody else.
    rng : random.Random
        Chooses the moments.
    """

    def __init__(self, context, folder, rng):
        self.folder, self.rng = folder, rng
        self.n_killed = self.n_ended = 0
        self.output = folder.parent / "output"
        self._context = context
        self._lasts = 1.0  # seconds, of a run that is left alone

    def run(self, package, *arguments, timeout=300):
        """Run a command to its end and return its exit code."""
        start = time.monotonic()
        process = self._start(package, arguments)
        process.join(timeout)
        self._lasts = time.monotonic() - start
        assert process.exitcode is not None, "it does not end"
        return process.exitcode

    def kill(self, package, *arguments):
        """Start a command and kill it.

        Half of the times at any moment that such a run has, else soon after something in
        the folder has changed.
        """
        before = self._contents()
        process = self._start(package, arguments)
        if self.rng.random() < 0.5:
            process.join(self.rng.uniform(0, self._lasts))
        else:
            while process.is_alive() and self._contents() == before:
                time.sleep(0.001)
            process.join(self.rng.choice([0, 0.003, 0.03, 0.3]) * self.rng.random())
        process.kill()
        process.join()
        self.n_killed += process.exitcode == -9
        self.n_ended += process.exitcode == 0
        assert process.exitcode in (-9, 0), self.output.read_text()

    def _start(self, package, arguments):
        self.output.unlink(missing_ok=True)
        process = self._context.Process(
            target=run_command, args=(package, arguments, self.output)
        )
        process.start()
        return process

    def _contents(self):
        found = set()
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # it has just got its name
                status = path.stat()
                found.add((path.name, status.st_size, status.st_mtime_ns))
        return found


def scratch_files(folder):
    """Names of the files that are not whole."""
    return [path.name for path in folder.rglob(".*") if path.name != ".lock"]


class Log:
    """A log of which every line that was once there stays."""

    def __init__(self, path):
        self.path = path
        self._before = b""

    def check(self):
        """Check what a killed listener left, and return the whole records."""
        content = self.path.read_bytes() if self.path.exists() else b""
        assert content.startswith(self._before)
        self._before = content
        *lines, _unfinished = content.split(b"\n")
        records, is_cut = [], False
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                is_cut = True
                continue
            # A line that was cut off stands alone, before a new beginning.
            assert not is_cut or record["state"] == "started"
            records.append(record)
            is_cut = False
        return records


class Clips:
    """A folder in which every clip that has its final name is whole."""

    def __init__(self, folder):
        self.folder = folder
        self._known = set()

    def check(self):
        """Decode the new ones, and return all; those that were there stay."""
        names = {path.name for path in self.folder.glob("*.flac")}
        assert names >= self._known
        for name in names - self._known:
            samples, _ = soundfile.read(self.folder / name)
            assert len(samples) == soundfile.info(self.folder / name).frames > 0
        self._known = names
        return names
