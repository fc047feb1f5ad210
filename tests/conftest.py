"""What the tests share: a tiny model, and a way to run the command."""

import fcntl
import gc
import os
import resource
import signal
import subprocess
import sys

import pytest
import virtual_microphone
from archives import as_exported
from environment import ENVIRONMENT
from hypothesis import settings
from tiny_model import write_older_model, write_tiny_model

from streamsed.config import PostConfig

settings.register_profile("streamsed", deadline=None, derandomize=True)
settings.load_profile("streamsed")

# A shell's background job ignores Ctrl-C, and so would every command that the tests start
# and interrupt: what is ignored stays so across exec.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fixtures for the tests that listen.
virtual_microphone_server = virtual_microphone.virtual_microphone_server
mic, heard_here = virtual_microphone.mic, virtual_microphone.heard_here

MANY = 1100  # select.select refuses descriptors from 1024 on


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def make_model():
    return write_older_model


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.pt")


@pytest.fixture(scope="session")
def older_model_path(tmp_path_factory):
    return write_older_model(tmp_path_factory.mktemp("older") / "tiny.pt")


@pytest.fixture(scope="session")
def model(model_path):
    from streamsed.inference.model import Model

    # The network is small, and threads would only wait.
    return Model.load(model_path, device="cpu", threads=1)


@pytest.fixture(scope="session")
def streamsed(model_path):
    """Run the real command; `file` uses the tiny model unless another is named."""

    def run(*arguments, **options):
        arguments = [str(a) for a in arguments]
        if arguments[:1] == ["file"] and "--model" not in arguments:
            arguments += ["--model", str(model_path)]
        if arguments[:1] == ["file"] and "--device" not in arguments:
            arguments += ["--device", "cpu"]
        command = [sys.executable, "-m", "streamsed", *arguments]
        defaults = {"capture_output": True, "text": True, "timeout": 120}
        defaults["env"] = ENVIRONMENT
        return subprocess.run(command, check=False, **(defaults | options))

    return run


@pytest.fixture(scope="session")
def trained():
    from networks import random_trained

    return random_trained(seed=3, minutes=2.0)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, trained):
    """A model file as the exporter writes it, with graphs for every engine.

    It takes ten seconds, so that one process of the tests writes it for all.
    """
    import torch
    from networks import scene

    from train.export.exporter import export_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "exported" / "exported.pt"
    with (folder / "exported.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            export_model(
                trained,
                path,
                name="exported",
                check_set=scene(),
                post=PostConfig(onset_threshold={"Dog": 0.4}),
                scores={"event_f1_macro": 0.25, "data": "noise"},
                provenance={"command": "python -m train fit"},
            )
    return as_exported(path)


@pytest.fixture
def many_open():
    """As many open files as a service of hundreds of sources and visitors has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MANY:
        pytest.skip(f"needs {2 * MANY} open files (ulimit -Hn is {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    gc.collect()  # what is closed later makes room below
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(MANY)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
