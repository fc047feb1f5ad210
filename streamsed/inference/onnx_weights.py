"""The network as an ONNX graph, for engines other than TorchScript.

A model file holds its weights once, as 16-bit numbers, where TorchScript keeps them.
Beside them lie graphs of a few kilobytes (`fp32.onnx`, and `int8.onnx` with the scales of
8-bit arithmetic), which name weights that they do not hold, and `weights.json`, which says
in which record of the archive each lies::

    model.pt   NAME/data/0, 1, ...        weights, float16
               NAME/extra/fp32.onnx       graphs: nodes and small tensors
               NAME/extra/int8.onnx
               NAME/extra/weights.json    [{"name", "record", "shape"}, ...]
               NAME/extra/probe.npz       a segment and the network's own answer

An engine wants one ONNX model with everything inside. In the encoding of protocol buffers
two messages written one after another are read as one, merged; so the weights are put
behind the graph as a second model that has nothing but tensors, and no library is needed.

References
----------
https://protobuf.dev/programming-guides/encoding, "Last One Wins" and onnx.proto3.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WEIGHTS = "weights.json"
PROBE = "probe.npz"
_FLOAT16 = 10  # TensorProto.DataType


class Probe(NamedTuple):
    """A segment, and what the network answers to it.

    Parameters
    ----------
    features : float32 (segment_frames, n_mels)
        Normalised, in [0, 1].
    scores : float32 (n_score_frames, n_labels)
        By the network in 32 bits, where it was exported.
    """

    features: NDArray[np.float32]
    scores: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Pack; features keep 8 bits, so `scores` must belong to such features."""
        packed = io.BytesIO()
        levels = np.rint(self.features * 255).astype(np.uint8)
        np.savez_compressed(packed, features=levels, scores=self.scores)
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, packed: bytes) -> Probe:
        """Unpack what `to_bytes` made."""
        arrays = np.load(io.BytesIO(packed), allow_pickle=False)
        return cls(arrays["features"] / np.float32(255), arrays["scores"])


def graph_name(precision: str) -> str:
    """Return the name of the graph for a precision: bf16 is the engine's own doing."""
    return "int8.onnx" if precision == "int8" else "fp32.onnx"


def has_graph(path: Path, precision: str) -> bool:
    """Return whether a model file holds a graph for a precision."""
    with zipfile.ZipFile(path) as archive:
        ending = f"/extra/{graph_name(precision)}"
        return any(name.endswith(ending) for name in archive.namelist())


def read_graph(path: Path, precision: str) -> bytes:
    """Return a model file's network as one ONNX model with its weights inside.

    Parameters
    ----------
    path : Path
        A model file that `has_graph`.
    precision : {"fp32", "bf16", "int8"}
        Which of its graphs.
    """
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        graph = archive.read(f"{root}/extra/{graph_name(precision)}")
        tensors = [
            _tensor(
                each["name"], each["shape"], archive.read(f"{root}/{each['record']}")
            )
            for each in json.loads(archive.read(f"{root}/extra/{WEIGHTS}"))
        ]
    return graph + with_tensors(tensors)


def read_probe(path: Path) -> Probe:
    """Return the probe of a model file that has graphs."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        return Probe.from_bytes(archive.read(f"{root}/extra/{PROBE}"))


def with_tensors(tensors: Iterable[bytes]) -> bytes:
    """Return an ONNX model that has nothing but tensors (`ModelProto.graph` is 7)."""
    return _field(7, b"".join(_field(5, tensor) for tensor in tensors))


def _tensor(name: str, shape: Sequence[int], raw: bytes) -> bytes:
    """Encode a float16 `TensorProto`: dims 1, data_type 2, name 8, raw_data 9."""
    dims = b"".join(b"\x08" + _varint(size) for size in shape)
    kind = b"\x10" + _varint(_FLOAT16)
    return dims + kind + _field(8, name.encode()) + _field(9, raw)


def _field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes: its number and wire type 2, its length, its content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encode a whole number, seven bits in a byte, the lowest first.

    Examples
    --------
    >>> _varint(300).hex()
    'ac02'
    """
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
