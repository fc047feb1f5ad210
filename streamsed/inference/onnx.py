"""ONNX Runtime on the processor, from a model file's ONNX graph."""

from __future__ import annotations

from pathlib import Path

from streamsed.inference.onnx_weights import read_graph
from streamsed.samples import Float32

_ERRORS_ONLY = 3


class Onnx:
    """A network in a session of ONNX Runtime.

    Parameters
    ----------
    path : Path
        A model file that has graphs.
    precision : {"fp32", "int8"}
        Which of its graphs.
    threads : int
        Threads for one segment.
    """

    place = "cpu"

    def __init__(self, path: Path, *, precision: str, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = threads
        # Threads that spin while they wait stall others on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            read_graph(path, precision), options, providers=["CPUExecutionProvider"]
        )
        (features,) = self._session.get_inputs()
        self._input, self._shape = features.name, features.shape
        self.threads = threads

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment, see `Engine.run`."""
        shape = (1, 1, *features.shape)
        if shape != tuple(self._shape):  # ONNX Runtime has many kinds of errors
            raise ValueError(f"the network takes {self._shape}")
        scores, region = self._session.run(None, {self._input: features[None, None]})
        return scores[0], region[0]
