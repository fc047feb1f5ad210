"""The interface of inference engines; `streamsed.inference.model` chooses one.

Every engine runs one segment per call, with a fixed shape and a fixed number of threads,
so that equal features give bit-identical scores; it may be called from several threads.
"""

from __future__ import annotations

from typing import Protocol

from streamsed.samples import Float32

NAMES = ("openvino", "onnx", "torchscript")
PRECISIONS = ("fp32", "bf16", "int8")


class DeviceError(ValueError):
    """The device that an engine is asked to run on is not there."""


class Engine(Protocol):
    """A network, ready to run."""

    @property
    def place(self) -> str:
        """Where it runs: "cpu" or "cuda"."""

    @property
    def threads(self) -> int:
        """Threads that share the work of one segment."""

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment.

        Parameters
        ----------
        features : float32 (segment_frames, n_mels)
            Normalised.

        Returns
        -------
        scores : float32 (n_score_frames, n_labels)
        region : float32 (n_score_frames,)

        Raises
        ------
        ValueError
            The network cannot run on such features; the message is the engine's.
        """
