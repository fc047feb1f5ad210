"""What reads bytes of strangers, each as a function of one file: the fuzzer's targets.

A target may end in a `ValueError` or `OSError` of bounded length, of which the command
line makes one printable line. Any other exception is a defect, and so is what the target itself
asserts. To add one, write a function of a path, mark it with the suffix that the file
must have, and put a few small files, good and bad, into `corpus/NAME/`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typer.main import get_command

from streamsed.audio.decode import audio_info, file_chunks
from streamsed.audio.pcm import PCM_FORMATS, PcmSource
from streamsed.cli.app import app
from streamsed.cli.settings_file import read_settings
from streamsed.inference.graph.check import Graph, Walk
from streamsed.inference.graph.messages import read_model
from streamsed.inference.graph.torch_network import TorchNetwork
from streamsed.inference.graph.torch_operators import TORCH_OPERATORS
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.onnx_weights import (
    has_graph,
    has_probe,
    read_graph,
    read_probe,
)
from streamsed.strict_json import read_json
from train.annotations import event_lists
from train.config.preset import load_preset
from train.metrics.intervals import merge_overlaps

COMMANDS: Any = get_command(app).commands  # type: ignore[attr-defined]
CORPUS = Path(__file__).parent / "corpus"
LONGEST_MESSAGE = 1000


@dataclass(frozen=True)
class Target:
    """A reader and the suffix of its files."""

    read: Callable[[Path], object]
    suffix: str

    def check(self, path: Path) -> bool:
        """Read a file; return whether it was accepted. What is no refusal is raised."""
        try:
            self.read(path)
        except (ValueError, OSError) as error:
            message = str(error)
            assert 0 < len(message) <= LONGEST_MESSAGE, f"{len(message)} characters"
            return False
        return True


TARGETS: dict[str, Target] = {}


def target(suffix: str) -> Callable[[Callable[[Path], object]], Callable]:
    def register(read: Callable[[Path], object]) -> Callable[[Path], object]:
        TARGETS[read.__name__] = Target(read, suffix)
        return read

    return register


def consume(chunks: Iterable[np.ndarray]) -> None:
    """Go through decoded sound, which must be what the detector takes."""
    for chunk in chunks:
        assert chunk.dtype == np.float32
        assert chunk.ndim == 1
        assert np.isfinite(chunk).all()


@target(".tsv")
def strong_list(path: Path) -> None:
    clips = event_lists.read_strong(path)
    for event in (event for events in clips.values() for event in events):
        assert event.label
        assert 0 <= event.onset < event.offset < float("inf")
    event_lists.digest(clips)
    for events in clips.values():
        merge_overlaps(events)


@target(".tsv")
def other_lists(path: Path) -> None:
    refusals = []
    for read in (
        event_lists.read_weak,
        event_lists.read_names,
        event_lists.read_durations,
    ):
        try:
            read(path)
        except ValueError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


@target(".pcm")
def pcm_source(path: Path) -> None:
    """The first bytes are the settings, the rest is what the pipe carries."""
    with path.open("rb") as stream:
        settings = stream.read(8).ljust(8, b"\0")
        rate, channels, channel, form = struct.unpack("<IBBxB", settings)
        stream.seek(8)
        source = PcmSource(
            stream,
            capture_rate=rate,
            n_channels=channels,
            format_name=list(PCM_FORMATS)[form % len(PCM_FORMATS)],
            sample_rate=44100,
            channel=channel or None,
        )
        while (pieces := source.read()) is not None:
            consume(piece.samples for piece in pieces)


@target(".wav")
def audio_file(path: Path) -> None:
    info = audio_info(path)
    assert info.duration >= 0
    consume(file_chunks(path, sample_rate=16000))


@target(".json")
def json_text(path: Path) -> None:
    value = read_json(path.read_bytes())
    assert read_json(json.dumps(value).encode()) == value


@target(".json")
def model_description(path: Path) -> None:
    description = read_json(path.read_bytes())
    if not isinstance(description, dict):
        return
    info = ModelInfo.from_dict(description)
    again = ModelInfo.from_dict(read_json(json.dumps(info.to_dict()).encode()))
    assert again == info


@target(".pt")
def model_file(path: Path) -> None:
    """The whole way of a model file, but for the engines themselves."""
    file = ModelFile.open(path)
    for precision in ("fp32", "bf16", "int8"):
        if has_graph(file, precision):
            read_graph(file, precision)
    if has_probe(file):
        read_probe(file)


@target(".onnx")
def onnx_graph(path: Path) -> None:
    """A graph whose shapes were worked out gives arrays of these shapes."""
    encoded = path.read_bytes()
    message = read_model(encoded)
    walk = Walk(message, message.tensors)
    size = sum(math.prod(step.output.shape) for step in walk.steps)
    operators = {step.node.operator for step in walk.steps}
    if (
        len(message.inputs) == 1
        and message.outputs
        and operators <= TORCH_OPERATORS.keys()
        and size < 100_000
        and walk.gmac < 1e-3
    ):
        (segment,) = message.inputs
        first, *_, last = [*message.outputs, *message.outputs]
        graph = Graph(
            encoded, segment, (first, last), walk.steps, message.tensors, {}, walk.gmac
        )
        network = TorchNetwork(graph, device="cpu", dtype=torch.float32)
        found = network(torch.zeros(message.inputs[segment].shape))
        for name, values in zip((first, last), found, strict=True):
            assert tuple(values.shape) == message.outputs[name].shape


@target(".toml")
def training_settings(path: Path) -> None:
    """Lines of `--set`, over a preset."""
    text = path.read_bytes().decode(errors="surrogateescape")
    config = load_preset("nec_alpha_0.1", text.split("\n"))
    assert type(config).from_dict(config.to_dict()) == config


@target(".toml")
def listening_settings(path: Path) -> None:
    """What `--settings` reads for the commands."""
    read_settings(path, COMMANDS)
