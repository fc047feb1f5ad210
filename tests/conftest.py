"""What the tests share: a tiny model, and a way to run the command."""

import gc
import json
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

from streamsed.config import FrontendConfig, PostConfig, StreamConfig

settings.register_profile("streamsed", deadline=None, derandomize=True)
settings.load_profile("streamsed")

# A shell's background job ignores Ctrl-C, and so would every command that the tests start
# and interrupt: what is ignored stays so across exec.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Fixtures for the tests that listen.
virtual_microphone_server = virtual_microphone.virtual_microphone_server
mic, heard_here = virtual_microphone.mic, virtual_microphone.heard_here

LABELS = ("Speech", "Dog")
MANY = 1100  # select.select refuses descriptors from 1024 on


def build_model(path, *, labels=LABELS, n_outputs=2, extra="streamsed.json", **info):
    """Write a model file whose network detects a band of the spectrum for each output.

    Each score sees two score frames to either side, and the mean of the whole segment: as
    with the real network, every score depends on everything in the segment.
    """
    import torch

    from streamsed.inference.model_file import ModelInfo

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.near = torch.nn.Conv1d(n_outputs, n_outputs, 5, padding=2)
            with torch.no_grad():
                kernel = torch.tensor([0.05, 0.2, 0.5, 0.2, 0.05])
                self.near.weight[:] = kernel * torch.eye(n_outputs)[..., None]
                self.near.bias[:] = 0

        def forward(self, x):
            frames = torch.nn.functional.avg_pool2d(x, (8, 1))[:, 0]
            bands = frames.unflatten(2, (n_outputs, -1)).amax(3)
            logits = 16 * self.near(bands.transpose(1, 2)).transpose(1, 2) - 4
            logits = logits + 3 * bands.mean(1, keepdim=True)
            return torch.sigmoid(logits), frames.amax(2)

    description = ModelInfo(
        name="tiny",
        labels=tuple(labels),
        frontend=FrontendConfig(),
        stream=info.get("stream", StreamConfig()),
        post=info.get("post", PostConfig()),
        scores_at_export={"event F1 (%)": 12.5},
        training={"preset": "tiny"},
        parameters=22,
        gmac=0.001,
    )
    network = torch.jit.trace(Network().eval(), torch.zeros(1, 1, 1024, 128))
    text = json.dumps(description.to_dict() | info.get("changes", {}))
    torch.jit.save(network, str(path), _extra_files={extra: text})
    return as_exported(path)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def make_model():
    return build_model


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("model") / "tiny.pt")


@pytest.fixture(scope="session")
def model(model_path):
    import torch

    from streamsed.inference.model import Model

    torch.set_num_threads(1)  # the network is small, and threads would only wait
    return Model.load(model_path, device="cpu")


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
    """A model file as the exporter writes it, with graphs for every engine."""
    import torch
    from networks import scene

    from train.export.exporter import export_model

    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("exported") / "exported.pt"
    export_model(
        trained,
        path,
        name="exported",
        check_set=scene(),
        post=PostConfig(onset_threshold={"Dog": 0.4}),
        scores={"event_f1_macro": 0.25, "data": "noise"},
        provenance={"command": "python -m train fit"},
    )
    return path


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
