"""Engines: what a segment costs by each of them, beside other networks in plain torch.

Each engine has a process of its own, and all score in turns. The report's network, at
full width, has random weights here: they cost what trained ones do.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from streamsed.config import FrontendConfig
from streamsed.diagnostics.bench import Contender, requests
from streamsed.inference.cpu import available_cores
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model
from streamsed.inference.selection import EngineRequest
from train.config.train import TrainConfig
from train.export.engine_check import CheckSet
from train.export.exporter import export_model
from train.fit.checkpoint import TrainedNetwork
from train.networks.factory import make_network

ROUNDS = {"default": 20, "full width": 5}


@dataclass
class Eager:
    """A network in plain torch, in this process."""

    network: nn.Module
    x: torch.Tensor
    threads: int
    seconds: list[float] = field(default_factory=list)

    def score(self) -> None:
        """Run the network on its input and note the seconds."""
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            start = time.perf_counter()
            self.network(self.x)
            self.seconds.append(time.perf_counter() - start)

    @property
    def median(self) -> float:
        """Seconds, without the first run."""
        return statistics.median(self.seconds[1:])


def convolution(n_in: int, n_out: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


def cnn14() -> nn.Module:
    """Build a network of the shape of PANNs' CNN14: 80 million weights."""
    layers: list[nn.Module] = []
    n_in = 1
    for n_out in (64, 128, 256, 512, 1024, 2048):
        layers += [convolution(n_in, n_out), convolution(n_out, n_out), nn.AvgPool2d(2)]
        n_in = n_out
    layers[-1] = nn.AdaptiveAvgPool2d(1)
    head = [nn.Flatten(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 527)]
    return nn.Sequential(*layers, *head).eval()


def yamnet() -> nn.Module:
    """Build a network of the shape of YAMNet: 3.7 million weights, depthwise."""
    shape = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    shape += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    layers, n_in = [convolution(1, 32, 2)], 32
    for n_out, stride in shape:
        point = nn.Conv2d(n_in, n_out, 1, bias=False)
        layers += [convolution(n_in, n_in, stride, groups=n_in), point]
        layers += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        n_in = n_out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 521)]
    return nn.Sequential(*layers, *head).eval()


def full_width(path: Path) -> nn.Module:
    """Export the report's network with random weights; return it."""
    torch.manual_seed(0)
    config = TrainConfig()
    network = make_network(config, 10).eval()
    labels = tuple(f"label {i}" for i in range(10))
    check_set = CheckSet.of_the_scene(FrontendConfig())
    few = CheckSet(check_set.segments[:2], check_set.segments[:2])
    trained = TrainedNetwork(network, labels, config, step=0)
    export_model(trained, path, name="full width", check_set=few)
    return network


def ratios(path: Path, name: str, peers: dict[str, Callable[[int], Eager]]) -> str:
    """Let all engines and peers score in turns; write a row for each."""
    file = ModelFile.open(path)
    info = file.info
    cores = available_cores()
    contenders = {
        (f"{w.engine} {w.precision}", w.threads or 0): Contender(file, w)
        for w in requests(file, EngineRequest("cpu"))
    }
    everyone: dict[tuple[str, int], Contender | Eager] = dict(contenders)
    for peer, make in peers.items():
        for threads in sorted({1, cores}):
            everyone[peer, threads] = make(threads)
    for _ in range(ROUNDS[name] + 1):
        for each in everyone.values():
            each.score()
    lines = [
        f"| {name}, {info.gmac} GMAC | threads | ms a segment | times TorchScript fp32 | "
        + "start (s) | memory (MB) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (what, threads), each in sorted(everyone.items(), key=lambda e: e[1].median):
        ratio = contenders["torchscript fp32", threads].median / each.median
        start = memory = ""
        if isinstance(each, Contender):
            start, memory = f"{each.load:.2f}", f"{each.memory():.0f}"
            each.close()
        ms = 1000 * each.median
        lines.append(
            f"| {what} | {threads} | {ms:.1f} | {ratio:.2f} | {start} | {memory} |"
        )
    return "\n".join(lines)


def engines_at_export(path: Path) -> str:
    """Write how each engine agreed with the network when the model was exported."""
    lines = [
        "| `default`, at export | largest difference of a score | events changed | "
        + "event F1, macro (%) | accepted |",
        "|---|---:|---:|---:|---|",
    ]
    for name, record in ModelFile.open(path).info.engines.items():
        f1 = record.get("event_f1_macro")
        lines.append(
            f"| {name} | {record['max_difference']:.2g} "
            f"| {record['events_changed']:.1%} "
            f"| {'' if f1 is None else f'{100 * f1:.1f}'} "
            f"| {'yes' if record['accepted'] else 'no'} |"
        )
    return "\n".join(lines)


def sections() -> Iterator[str]:
    n_threads = torch.get_num_threads()
    chosen = Model.load("default", device="cpu").place
    text = [
        "## Engines",
        "Each in a process of its own, all in turns; 10 s of audio a segment. "
        + f"`default` runs here on {chosen}.",
        ratios(find_model("default"), "default", {}),
    ]
    if ModelFile.open(find_model("default")).info.engines:
        text.append(engines_at_export(find_model("default")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "full.pt"
        network = full_width(path)
        frontend = FrontendConfig()
        segment = torch.rand(1, 1, frontend.segment_frames, frontend.n_mels)
        peers = {
            "the same network, eager torch": lambda n: Eager(network, segment, n),
            "CNN14's shape, eager torch": lambda n: Eager(
                cnn14(), torch.rand(1, 1, 1001, 64), n
            ),
            "YAMNet's shape, eager torch": lambda n: Eager(
                yamnet(), torch.rand(20, 1, 96, 64), n
            ),
        }
        text.append(ratios(path, "full width", peers))
    torch.set_num_threads(n_threads)
    yield "\n\n".join(text)
