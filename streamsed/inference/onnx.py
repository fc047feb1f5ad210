"""Run a model file's ONNX graph with ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from typing import Any

from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx_weights import read_graph, whole_model
from streamsed.samples import Float32

_FATAL_ONLY = 4
"""What is written past Python to standard error; errors come as exceptions too."""


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without what reports its use to its makers.

    Since 1.32 it would note an identifier and events in the user's cache folder and send
    them to Microsoft; this must be said before it is loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


class Onnx:
    """A network in a session of ONNX Runtime.

    Parameters
    ----------
    file : ModelFile
        A file with graphs.
    precision : {"fp32", "int8"}
        Which graph.
    threads : int
        Threads per segment.

    Raises
    ------
    ValueError
        The graph fails the checks, or ONNX Runtime cannot load it.
    """

    place = "cpu"

    def __init__(self, file: ModelFile, *, precision: str, threads: int) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL_ONLY
        options.intra_op_num_threads = threads
        # Threads that spin while waiting stall other processes on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = whole_model(read_graph(file, precision))
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of various undocumented types
            raise ValueError(
                f"ONNX Runtime cannot load the network ({error})"
            ) from error
        (features,) = self._session.get_inputs()
        self._input, self._shape = features.name, features.shape
        self.threads = threads

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment, see `Engine.run`."""
        shape = (1, 1, *features.shape)
        if shape != tuple(self._shape):  # ONNX Runtime raises various errors
            raise ValueError(f"the network takes {self._shape}")
        try:
            scores, region = self._session.run(
                None, {self._input: features[None, None]}
            )
        except Exception as error:
            raise ValueError(str(error)) from error
        return scores[0], region[0]
