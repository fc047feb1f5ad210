"""Nothing is sent anywhere: neither by the program nor by a package that it uses."""

import subprocess
import sys
from pathlib import Path

import pytest
from environment import ENVIRONMENT

SCENE = Path("examples/scene.flac").absolute()

AUDITED = """
import os, sys

def note(event, arguments):
    # Sockets within the machine have a path, not a (host, port).
    sent = event == "socket.getaddrinfo" or (
        event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple)
    )
    if sent or event in ("os.fork", "os.forkpty"):
        with open(os.environ["NOTED"], "a") as file:
            print(event, arguments, file=file)

sys.addaudithook(note)
from streamsed.cli.app import main
sys.argv[0] = "streamsed"
main()
"""


@pytest.mark.parametrize(
    ("command", "engine"),
    [("info", "openvino"), ("info", "onnx"), ("info", "torchscript"), ("file", "auto")],
)
def test_no_command_opens_a_connection_or_leaves_anything_at_home(
    command, engine, tmp_path
):
    sound = {"file": [SCENE], "info": []}
    home, noted = tmp_path / "home", tmp_path / "noted"
    home.mkdir()
    arguments = [command, *sound[command], "--engine", engine]
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | {"HOME": str(home), "NOTED": str(noted), "CI": "false"},
    )
    assert done.returncode == 0, done.stderr
    assert not noted.exists(), noted.read_text()
    assert not list(home.rglob("*"))
