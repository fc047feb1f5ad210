"""`streamsed --version`: what to write into a report of a fault."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import streamsed
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model

_DISTRIBUTIONS = {"openvino": "openvino", "onnx": "onnxruntime", "torchscript": "torch"}


def version_lines(model: str = "default") -> Iterator[str]:
    """Give the version of the program, and of what it detects with on this machine."""
    yield f"streamsed {streamsed.__version__}"
    python, system = platform.python_version(), platform.system()
    yield f"python {python}, {system} {platform.machine()}"
    try:
        file = ModelFile.open(find_model(model))
        yield f"model {file.info.name}, sha256 {file.sha256}"
        loaded = Model.load(file)
    except (OSError, ValueError) as error:  # the version is wanted most when it fails
        yield f"engine: none ({error})"
        return
    name = loaded.chosen.engine
    try:
        release = version(_DISTRIBUTIONS[name])
    except PackageNotFoundError:
        release = "of unknown version"
    yield f"engine {name} {release}, {loaded.chosen.precision} on {loaded.chosen.device}"
