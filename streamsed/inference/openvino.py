"""Run a model file's ONNX graph with OpenVINO on the CPU."""

from __future__ import annotations

import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from streamsed.inference.cpu import available_cores
from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx_weights import read_graph, whole_model
from streamsed.samples import Float32

if TYPE_CHECKING:
    import openvino


@cache
def core() -> openvino.Core:
    """Return the one core of this process, which is never destroyed.

    On processors with AMX, OpenVINO (2026.4) gives the thread that makes a core another
    stack for signal handlers, and frees it with the core while it is still in use: the
    next signal would end the program.
    """
    made: openvino.Core = import_openvino().Core()
    return made


def import_openvino() -> Any:
    """Import OpenVINO without what reports its use to its makers.

    On being imported it would send an event to Google Analytics by `openvino_telemetry`,
    from a process that it forks, and note an identifier in the user's home. Where that
    package cannot be imported, it does without.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class OpenVino:
    """A network compiled by OpenVINO.

    Parameters
    ----------
    file : ModelFile
        A file with graphs.
    precision : {"fp32", "bf16", "int8"}
        int8 is used in convolutions only, with 32 bits elsewhere.
    threads : int
        Threads per segment.
    n_streams : int or None
        Segments at once; None depends on the number of cores.
    """

    place = "cpu"

    def __init__(
        self,
        file: ModelFile,
        *,
        precision: str,
        threads: int,
        n_streams: int | None = None,
    ) -> None:
        self.threads = threads
        if n_streams is None:
            n_streams = max(1, available_cores() // threads)
        settings: dict[str, int | str | bool] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": n_streams * threads,
            "NUM_STREAMS": n_streams,  # each scores one segment
            "ENABLE_CPU_PINNING": False,  # otherwise two programs could be pinned to the same core
        }
        model = whole_model(read_graph(file, precision))
        try:
            network = core().read_model(model)
            self._compiled = core().compile_model(network, "CPU", settings)
        except RuntimeError as error:
            if "bad_alloc" in str(error):
                raise MemoryError("OpenVINO could not load the network") from error
            raise ValueError(
                f"OpenVINO cannot compile the network ({error})"
            ) from error
        self._own = threading.local()  # each thread has its own request

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment, see `Engine.run`."""
        request: openvino.InferRequest | None = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        try:
            request.infer([features[None, None]], share_inputs=True)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        scores, region = (request.get_output_tensor(i).data[0].copy() for i in (0, 1))
        return scores, region
