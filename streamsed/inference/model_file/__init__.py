"""The model file: a network and everything needed to use it.

A model file is a TorchScript archive with `streamsed.json` inside: labels, front-end,
streaming and post-processing settings, its scores at export, how far the scores of each
engine differ, and how it was trained. `info` describes what `streamsed.json` may say, `file`
reads and checks a whole file, without torch; `streamsed.inference.onnx_weights` reads the
graphs that the engines run. Model files are untrusted data, checked before anything in them
is used.
"""

from streamsed.inference.model_file.file import INFO_NAME, SEAL, ModelFile, seal_of
from streamsed.inference.model_file.info import FORMAT_VERSION, ModelInfo
from streamsed.inference.model_file.shipped import find_model, shipped_models

__all__ = [
    "FORMAT_VERSION",
    "INFO_NAME",
    "SEAL",
    "ModelFile",
    "ModelInfo",
    "find_model",
    "seal_of",
    "shipped_models",
]
