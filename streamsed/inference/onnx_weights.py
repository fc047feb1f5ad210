"""Read the ONNX graph of a model file, with its weights.

A model file contains its weights once, as 16-bit numbers, where TorchScript stores them.
In addition there are graphs of a few kilobytes (`fp32.onnx`, and `int8.onnx` with the
scales of 8-bit arithmetic), which refer to weights that they do not contain, and
`weights.json`, which gives the record of the archive for each::

    model.pt   NAME/data/0, 1, ...        weights, float16
               NAME/extra/fp32.onnx       graphs: nodes and small tensors
               NAME/extra/int8.onnx
               NAME/extra/weights.json    [{"name", "record", "shape"}, ...]
               NAME/extra/probe.npz       a segment and the network's scores

An engine needs one ONNX model with everything inside. Two protocol buffer messages that
are concatenated are parsed as one merged message; so the weights are appended to the graph
as a second model that contains only tensors, and no library is needed.

References
----------
https://protobuf.dev/programming-guides/encoding, "Last One Wins" and onnx.proto3.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.inference.archive import Archive
from streamsed.inference.graph.check import Graph, check_graph
from streamsed.inference.graph.tensor_types import checked_shape
from streamsed.inference.model_file import ModelFile
from streamsed.strict_json import read_json

WEIGHTS = "weights.json"
PROBE = "probe.npz"
_FLOAT16 = 10  # TensorProto.DataType


class Probe(NamedTuple):
    """A segment and the network's scores for it.

    Parameters
    ----------
    features : float32 (segment_frames, n_mels)
        Normalised, in [0, 1].
    scores : float32 (n_score_frames, n_labels)
        Of the network in fp32, on the machine of the export.
    """

    features: NDArray[np.float32]
    scores: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Encode; features are stored in 8 bits, so `scores` must belong to such features."""
        packed = io.BytesIO()
        levels = np.rint(self.features * 255).astype(np.uint8)
        np.savez_compressed(packed, features=levels, scores=self.scores)
        return packed.getvalue()

    @classmethod
    def from_bytes(
        cls, packed: bytes, *, features: tuple[int, int], scores: tuple[int, int]
    ) -> Probe:
        """Decode the result of `to_bytes`.

        Parameters
        ----------
        packed : bytes
            An archive of two arrays.
        features, scores : (int, int)
            The required shapes.

        Raises
        ------
        ValueError
            It is damaged, or contains something else.
        """
        archive = Archive(packed)
        levels = _array(archive, "features", np.uint8, features)
        answer = _array(archive, "scores", np.float32, scores)
        if not ((answer >= 0) & (answer <= 1)).all():
            raise ValueError("its probe must have scores from 0 to 1")
        segment = levels.astype(np.float32) / np.float32(255)
        return cls(segment, answer)


def graph_name(precision: str) -> str:
    """Return the name of the graph for a precision; bf16 uses the fp32 graph."""
    return "int8.onnx" if precision == "int8" else "fp32.onnx"


def has_graph(file: ModelFile, precision: str) -> bool:
    """Return whether a model file contains a graph for a precision."""
    return f"extra/{graph_name(precision)}" in file.archive


def read_graph(file: ModelFile, precision: str) -> Graph:
    """Return a model file's network with its weights, after checking it.

    Parameters
    ----------
    file : ModelFile
        A file for which `has_graph` is true.
    precision : {"fp32", "bf16", "int8"}
        Which graph.

    Raises
    ------
    ValueError
        The graph or its weights fail the checks; see `check_graph`.
    """
    archive, info = file.archive, file.info
    entries = read_json(archive.read(f"extra/{WEIGHTS}"))
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ValueError(f"its {WEIGHTS} must be a list of objects")
    tensors: dict[str, NDArray[np.generic]] = {}
    for entry in entries:
        name, values = _weight(archive, entry)
        if name in tensors:
            raise ValueError(f"its {WEIGHTS} names {name!r} twice")
        tensors[name] = values
    frontend = info.frontend
    return check_graph(
        archive.read(f"extra/{graph_name(precision)}"),
        tensors,
        features=(frontend.segment_frames, frontend.n_mels),
        scores=(frontend.segment_score_frames, len(info.labels)),
    )


def _weight(
    archive: Archive, entry: Mapping[str, Any]
) -> tuple[str, NDArray[np.generic]]:
    """Return the name and values of a tensor stored in its own record."""
    name: Any = entry.get("name")
    record: Any = entry.get("record")
    shape: Any = entry.get("shape")
    named = isinstance(name, str) and isinstance(record, str)
    if (
        not named
        or not isinstance(shape, list)
        or any(type(n) is not int for n in shape)
    ):
        raise ValueError(
            f"its {WEIGHTS} must give name, record and shape of each tensor"
        )
    sizes = checked_shape(shape)
    raw = archive.read(record)
    if len(raw) != 2 * math.prod(sizes):
        raise ValueError(f"its {record} has not as many bytes as its shape says")
    values = np.frombuffer(raw, "<f2").reshape(sizes)
    if not np.isfinite(values).all():
        raise ValueError(f"its {record} must be finite")
    return name, values


def whole_model(graph: Graph) -> bytes:
    """Return a graph with all its weights as one ONNX model."""
    tensors = [
        _tensor(name, values.shape, values.tobytes())
        for name, values in graph.elsewhere.items()
    ]
    return graph.encoded + with_tensors(tensors)


def has_probe(file: ModelFile) -> bool:
    """Return whether a model file has a probe; files with graphs have one."""
    return f"extra/{PROBE}" in file.archive


def read_probe(file: ModelFile) -> Probe:
    """Return the probe of a model file that has one.

    Raises
    ------
    ValueError
        It is damaged, or its shapes do not match the model.
    """
    frontend = file.info.frontend
    return Probe.from_bytes(
        file.archive.read(f"extra/{PROBE}"),
        features=(frontend.segment_frames, frontend.n_mels),
        scores=(frontend.segment_score_frames, len(file.info.labels)),
    )


def _array(
    packed: Archive, name: str, dtype: type[np.generic], shape: tuple[int, int]
) -> NDArray[Any]:
    """Read an array of a known type and shape from an .npz file."""
    content = io.BytesIO(packed.inflate(f"{name}.npy"))
    try:
        version = np.lib.format.read_magic(content)
        header = np.lib.format.read_array_header_1_0(content, max_header_size=1000)
    except Exception as error:
        raise ValueError(f"its probe's {name} is damaged ({error})") from error
    raw = content.read()
    stated = (shape, False, np.dtype(dtype))
    whole = len(raw) == math.prod(shape) * np.dtype(dtype).itemsize
    if version != (1, 0) or header != stated or not whole:
        raise ValueError(f"its probe's {name} must be of shape {shape}")
    return np.frombuffer(raw, dtype).reshape(shape)


def with_tensors(tensors: Iterable[bytes]) -> bytes:
    """Return an ONNX model that contains only tensors (`ModelProto.graph` is 7)."""
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
    """Encode an integer, seven bits per byte, the lowest first.

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
