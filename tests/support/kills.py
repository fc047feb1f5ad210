"""Commands that are killed by SIGKILL at random moments, and what must stand then.

The processes are forked from a server, see `fork_server`.
"""

import contextlib
import json
import signal
import time

import soundfile


class Killer:
    """Start commands, and kill them.

    Parameters
    ----------
    server : ForkServer
    folder : Path
        What the commands write into, and nobody else.
    rng : random.Random
        Chooses the moments.
    """

    def __init__(self, server, folder, rng):
        self.folder, self.rng = folder, rng
        self.n_killed = self.n_ended = 0
        self.output = folder.parent / "output"
        self._server = server
        self._lasts = 1.0  # seconds, of a run that is left alone

    def run(self, package, *arguments):
        """Run a command to its end and return its exit code."""
        start = time.monotonic()
        ended = self._start(package, arguments).wait()
        self._lasts = time.monotonic() - start
        return ended.code

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
        code = process.wait().code
        self.n_killed += code == -signal.SIGKILL
        self.n_ended += code == 0
        assert code in (-signal.SIGKILL, 0), self.output.read_text()
        if (self.n_killed + self.n_ended) % 50 == 0:  # for who waits for a thousand
            print(f"{self.n_killed} killed, {self.n_ended} ended before", flush=True)

    def _start(self, package, arguments):
        self.output.unlink(missing_ok=True)
        return self._server.start(
            package, arguments, stdout=self.output, stderr=self.output
        )

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
