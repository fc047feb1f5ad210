"""Run a network with torch, on the CPU or a CUDA device; needs the extra `torch`.

The network is built from the checked graph of the model file, as by other engines. Only
older files, without a graph, are run as TorchScript programs, and only if they are
trusted; see `streamsed.inference.trust`.

Torch is imported nowhere else in the runtime, and only when this engine is created,
because the import takes longer than everything else.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from streamsed.inference.engine import DeviceError
from streamsed.inference.model_file import ModelFile
from streamsed.inference.onnx_weights import has_graph, read_graph
from streamsed.samples import Float32

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class TorchScript:
    """A network loaded by torch.

    Parameters
    ----------
    file : ModelFile
        A file with a graph, or a trusted one.
    precision : {"fp32", "bf16"}
        Of weights and activations.
    threads : int or None
        Threads of the whole process; None does not change them.
    device : {"cpu", "cuda"}
        Device.

    Raises
    ------
    ValueError
        The graph fails the checks, or there is no such device (`DeviceError`).
    """

    def __init__(
        self, file: ModelFile, *, precision: str, threads: int | None, device: str
    ) -> None:
        # Threads that spin at barriers stall each other on a busy machine; this must
        # be set before torch starts them.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(
                "device=cuda: torch finds no CUDA device; use --device cpu, or install a "
                "CUDA build of torch"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        self.place = device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._network: Callable[[Tensor], tuple[Tensor, Tensor]]
        if has_graph(file, precision):
            from streamsed.inference.graph.torch_network import TorchNetwork

            graph = read_graph(file, precision)
            self._network = TorchNetwork(graph, device=device, dtype=self._dtype)
        else:
            self._network = _load_program(file, device, self._dtype)
        self._replay: CudaGraph | None = None
        self._lock = threading.Lock()  # a CUDA graph has one set of buffers

    @property
    def threads(self) -> int:
        """Threads that share the work of one segment."""
        import torch

        return torch.get_num_threads()

    def run(self, features: Float32) -> tuple[Float32, Float32]:
        """Score a segment, see `Engine.run`."""
        import torch

        # The profiling executor optimizes a network after its first calls, which changes
        # the bits of later ones; without it every call gives the same bits.
        plainly = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
        x = torch.from_numpy(features)[None, None]
        try:
            with torch.inference_mode(), plainly:
                if self.place == "cuda":
                    with self._lock:
                        if self._replay is None:
                            self._replay = CudaGraph(self._network, x, self._dtype)
                        scores, region = self._replay(x)
                else:
                    scores, region = self._network(x.to(self._dtype))
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(str(error)) from error
        return scores[0].float().numpy(), region[0].float().numpy()


class CudaGraph:
    """A network as a CUDA graph, recorded once and replayed for every segment.

    A small network consists of a hundred small kernels, and launching them one by one takes
    longer than running them. Copies go through pinned memory, in the order of one stream.

    Parameters
    ----------
    network : callable
        Network on the device.
    x : float32 (1, 1, segment_frames, n_mels)
        A segment with the shape of all segments, on the host.
    dtype : torch.dtype
        Data type of the computation.
    """

    def __init__(
        self,
        network: Callable[[Tensor], tuple[Tensor, Tensor]],
        x: Tensor,
        dtype: torch.dtype,
    ) -> None:
        import torch

        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph = torch.cuda.CUDAGraph()
        self._x = x.pin_memory()
        on_device = torch.empty_like(x, device="cuda")

        def step() -> list[Tensor]:
            on_device.copy_(self._x, non_blocking=True)
            return [y.float() for y in network(on_device.to(dtype))]

        with torch.cuda.stream(self._stream):
            for _ in range(3):  # warm up: choose kernels and allocate memory
                warm = step()
        self._stream.synchronize()
        self._answers = [torch.empty_like(y, device="cpu").pin_memory() for y in warm]
        with torch.cuda.graph(self._graph, stream=self._stream):
            for answer, y in zip(self._answers, step(), strict=True):
                answer.copy_(y, non_blocking=True)

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Score a segment (1, 1, segment_frames, n_mels); return copies on the host."""
        import torch

        self._x.copy_(x)
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        self._stream.synchronize()
        return [answer.clone() for answer in self._answers]


def _load_program(
    file: ModelFile, device: str, dtype: torch.dtype
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Load a TorchScript program, with 16-bit weights or, in older files, 32-bit ones.

    It is loaded from the bytes that were checked; the file is not read again.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`torch.jit")
            network = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(file.archive.data), map_location=device
            ).eval()
            if any(
                True for _ in network.parameters()
            ):  # otherwise it is already frozen
                network.to(dtype=dtype, memory_format=torch.channels_last)
                network = torch.jit.freeze(network)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{file.path}: damaged model file ({reason}); copy or export it again"
        ) from error
    return network  # type: ignore[no-any-return]
