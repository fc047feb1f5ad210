"""`streamsed --version`: what to include in a bug report."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import streamsed
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model

_DISTRIBUTIONS = {"openvino": "openvino", "onnx": "onnxruntime", "torchscript": "torch"}


def version_lines(model: str = "default") -> Iterator[str]:
    """Yield the versions of the program, of Python, of the model and of the engine."""
    yield f"streamsed {streamsed.__version__}"
    python, system = platform.python_version(), platform.system()
    yield f"python {python}, {system} {platform.machine()}"
    try:
        file = ModelFile.open(find_model(model))
        yield f"model {file.info.name}, sha256 {file.sha256}"
        loaded = Model.load(file)
    except (OSError, ValueError) as error:  # the version is needed most when it fails
        yield f"engine: none ({error})"
        return
    name = loaded.chosen.engine
    try:
        release = version(_DISTRIBUTIONS[name])
    except PackageNotFoundError:
        release = "of unknown version"
    yield f"engine {name} {release}, {loaded.chosen.precision} on {loaded.chosen.device}"
