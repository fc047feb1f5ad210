"""Load a network into the engine that was chosen for it."""

from __future__ import annotations

from streamsed.inference.cpu import available_cores
from streamsed.inference.engine import Engine
from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx import Onnx
from streamsed.inference.openvino import OpenVino
from streamsed.inference.selection import Candidate
from streamsed.inference.torchscript import TorchScript

SHARED_GMAC = 10.0
"""Cost in GMAC from which several threads share a segment; smaller ones gain little."""


def make_engine(
    candidate: Candidate,
    file: ModelFile,
    *,
    threads: int | None = None,
    n_parallel: int | None = None,
) -> Engine:
    """Load a network into an engine.

    Parameters
    ----------
    candidate : Candidate
        Engine, precision and device.
    file : ModelFile
        What it is loaded from.
    threads : int or None
        Per segment; None chooses by the cost of a segment.
    n_parallel : int or None
        Segments that will be scored at once; None lets the engine choose.

    Raises
    ------
    ValueError
        The engine cannot run the network.
    """
    precision = candidate.precision
    if candidate.engine == "torchscript":  # its threads are shared by the whole process
        device = candidate.device
        return TorchScript(file, precision=precision, threads=threads, device=device)
    if threads is None:
        threads = 1 if file.info.gmac < SHARED_GMAC else available_cores()
    if candidate.engine == "openvino":
        return OpenVino(
            file, precision=precision, threads=threads, n_streams=n_parallel
        )
    return Onnx(file, precision=precision, threads=threads)
