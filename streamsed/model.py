"""The network at work: segments in, scores out.

Torch is imported when a model is loaded, and in this file only, because that takes longer
than everything else. The network always runs one segment at a time: a matrix product is
not bit-stable when its row count changes, and the events of a stream must equal those of
the file.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.artefact import ModelInfo, find_model

if TYPE_CHECKING:
    import torch


class SegmentScores(NamedTuple):
    """What the network says of one segment.

    Parameters
    ----------
    scores : float32 (n_score_frames, n_labels)
        In [0, 1] (`f_s` of the report).
    region : float32 (n_score_frames,)
        The self-mask's probability that anything sounds, in [0, 1] (`f_p`).
    """

    scores: NDArray[np.float32]
    region: NDArray[np.float32]


class Model:
    """A loaded network with its description.

    Parameters
    ----------
    info : ModelInfo
        What the file says of itself.
    network : torch.jit.ScriptModule
        Maps (1, 1, segment_frames, n_mels) to scores and region.
    device : torch.device
        Where it runs.
    """

    def __init__(
        self, info: ModelInfo, network: torch.jit.ScriptModule, device: torch.device
    ) -> None:
        self.info = info
        self.device = device
        self._network = network

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike[str], *, device: str = "auto"
    ) -> Model:
        """Load a shipped model by name or any model file by path.

        Parameters
        ----------
        name_or_path : str or path
            A name from `shipped_models`, or a file.
        device : str
            "cpu", "cuda", or "auto": CUDA where there is one.

        Raises
        ------
        FileNotFoundError
            There is no such model.
        ValueError
            The file is not a model or is damaged, or the device is not there.
        """
        path = find_model(name_or_path)
        info = ModelInfo.read(path)
        # Threads that spin at barriers stall each other on a busy machine; they must be
        # told before torch starts them.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        target = _device(device)
        import torch

        try:
            with warnings.catch_warnings():
                # TorchScript is deprecated upstream; see docs/decisions.md.
                warnings.filterwarnings("ignore", category=DeprecationWarning)
                network = torch.jit.load(  # type: ignore[no-untyped-call]
                    str(path), map_location=target
                ).eval()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"model={path} must be an undamaged model file ({reason}); "
                "copy or export it again"
            ) from error
        return cls(info, network, target)

    def score(self, features: NDArray[np.float32]) -> SegmentScores:
        """Score one segment.

        Parameters
        ----------
        features : float32 (segment_frames, n_mels)
            From `streamsed.frontend.normalize`.

        Returns
        -------
        SegmentScores
            One row per score frame.

        Raises
        ------
        ValueError
            The network cannot run on such a segment, or gives scores of another shape
            than the model's labels and grid say.
        """
        import torch

        # The profiling executor runs a network's first calls in another form than its
        # later ones; without it every call gives the same bits.
        plainly = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
        with torch.inference_mode(), plainly:
            x = torch.from_numpy(features)[None, None].to(self.device)
            try:
                scores, region = self._network(x)
            except (RuntimeError, TypeError, ValueError) as error:
                reason = str(error).strip().splitlines()[-1]
                raise ValueError(
                    f"model={self.info.name} must run on a segment of {features.shape} "
                    f"and give scores and region ({reason}); export it again, or try "
                    "another device"
                ) from error
            result = SegmentScores(
                scores[0].float().cpu().numpy(), region[0].float().cpu().numpy()
            )
        expected = self.info.frontend.segment_score_frames, len(self.info.labels)
        if result.scores.shape != expected or result.region.shape != expected[:1]:
            raise ValueError(
                f"model={self.info.name} must give scores of shape {expected} (one for "
                f"each of its labels), and gives {result.scores.shape}; export it again"
            )
        return result


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name} must be auto, cpu or cuda")
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device=cuda must have a CUDA device, and torch finds none; "
            "use --device cpu, or install a CUDA build of torch"
        )
    return torch.device(name)
