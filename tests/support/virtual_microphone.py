"""A microphone that plays files: PulseAudio in a folder of its own, without hardware.

What `play` plays into the null sink comes out of its monitor, the default source, sample
for sample; ALSA's pulse plugin shows that to PortAudio as the devices `pulse` and
`default`. `unload` takes the sink away as pulling a plug does.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100
PROGRAMS = ("pulseaudio", "pactl", "paplay")
SERVER = "module-native-protocol-unix auth-anonymous=1"
ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


class UnavailableError(Exception):
    """The virtual microphone cannot be started here; says why."""


class VirtualMicrophone:
    """A running PulseAudio with one microphone."""

    def __init__(self, folder, rate=RATE):
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise UnavailableError(f"{program} is not installed; run `make test`")
        self.folder = Path(folder)
        self.rate = rate
        home, runtime = self.folder / "home", self.folder / "run"
        for path in (home, runtime / "pulse"):
            path.mkdir(parents=True)
        runtime.chmod(0o700)
        (home / ".asoundrc").write_text(ASOUNDRC)
        self.environment = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_RUNTIME_PATH": str(runtime / "pulse"),
        }
        self._sink = f"module-null-sink sink_name=mic rate={rate} format=float32le"
        self._sink += " channels=1"
        self._log = self.folder / "pulse.log"
        self._players = []
        self._start()

    def _start(self):
        options = ["-n", "--daemonize=yes", "--exit-idle-time=-1", "--disable-shm=yes"]
        options += [f"--log-target=file:{self._log}", "-L", SERVER, "-L", self._sink]
        try:
            self._run("pulseaudio", *options)
            self._pid = int((Path(self._runtime) / "pid").read_text())
            self._pactl("set-default-source", "mic.monitor")
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            said = self._log.read_text() if self._log.exists() else ""
            raise UnavailableError(
                f"PulseAudio does not start: {error} {said}"
            ) from error

    @property
    def _runtime(self):
        return self.environment["PULSE_RUNTIME_PATH"]

    def play(self, samples, *, lead=0.25, sink="mic"):
        """Play float32 mono after `lead` seconds of silence; return the player."""
        path = self.folder / f"play-{time.monotonic_ns()}.wav"
        silence = np.zeros(round(lead * self.rate), np.float32)
        soundfile.write(
            path, np.concatenate([silence, samples]), self.rate, subtype="FLOAT"
        )
        command = ["paplay", f"--device={sink}", str(path)]
        player = subprocess.Popen(command, env=os.environ | self.environment)
        self._players.append(player)
        return player

    def unload(self):
        """Take the microphone away."""
        self._pactl("unload-module", "module-null-sink")

    def load(self):
        """Put it back."""
        name, *options = self._sink.split()
        self._pactl("load-module", name, *options)
        self._pactl("set-default-source", "mic.monitor")

    def sleep(self):
        """Let no sound flow, as while a machine is suspended."""
        self._pactl("suspend-sink", "mic", "1")

    def wake(self):
        """Let it flow again."""
        self._pactl("suspend-sink", "mic", "0")

    @contextlib.contextmanager
    def second(self, name="other"):
        """Have another microphone beside it for a while."""
        options = [f"sink_name={name}", f"rate={self.rate}", "channels=1"]
        self._pactl("load-module", "module-null-sink", *options)
        try:
            yield f"{name}.monitor"
        finally:
            # The name alone is of every null sink: find the one that has it.
            listed = self._run("pactl", "list", "short", "modules").stdout.decode()
            number = next(
                line.split()[0] for line in listed.splitlines() if f"={name} " in line
            )
            self._pactl("unload-module", number)
            self._pactl("set-default-source", "mic.monitor")

    def prefer(self, source):
        """Make this source the default of the server."""
        self._pactl("set-default-source", source)

    def move(self, source):
        """Move all that records to another source."""
        listed = self._run("pactl", "list", "short", "source-outputs").stdout.decode()
        for line in listed.splitlines():
            self._pactl("move-source-output", line.split()[0], source)

    def hush(self):
        """End what still plays."""
        for player in self._players:
            player.kill()
            player.wait()
        self._players.clear()

    def stop(self):
        """End the server and players that were started here, and no others."""
        self.hush()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(self._pid, 0)
                time.sleep(0.05)
            os.kill(self._pid, signal.SIGKILL)

    def _pactl(self, *arguments):
        self._run("pactl", *arguments)

    def _run(self, *command):
        return subprocess.run(
            command,
            env=os.environ | self.environment,
            check=True,
            capture_output=True,
            timeout=20,
        )


@contextlib.contextmanager
def virtual_microphone(rate=RATE):
    """Give a `VirtualMicrophone` and stop it in the end."""
    # The path of its socket must be short, and that of TMPDIR may be long.
    with tempfile.TemporaryDirectory(prefix="mic-", dir="/tmp") as folder:
        microphone = VirtualMicrophone(folder, rate)
        try:
            yield microphone
        finally:
            microphone.stop()


@pytest.fixture(scope="session")
def virtual_microphone_server():
    """Give one virtual microphone for all tests, or say why there is none."""
    with contextlib.ExitStack() as stack:
        try:
            microphone = stack.enter_context(virtual_microphone())
        except UnavailableError as error:
            pytest.skip(str(error))
        yield microphone


@pytest.fixture
def mic(virtual_microphone_server):
    """Give the virtual microphone, for the programs started in its `environment`."""
    yield virtual_microphone_server
    virtual_microphone_server.hush()


@pytest.fixture
def heard_here(mic, monkeypatch):
    """Give the virtual microphone, and let PortAudio in this process record it."""
    from streamsed.audio.devices import rescan

    for name, value in mic.environment.items():
        monkeypatch.setenv(name, value)
    try:
        rescan()
    except OSError as error:
        pytest.skip(str(error))
    return mic
