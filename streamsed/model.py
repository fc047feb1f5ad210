"""The artefact: one file that holds a network and everything needed to use it.

A model file is a TorchScript archive with `streamsed.json` inside: labels, front-end,
streaming and post-processing settings, the scores it reached when it was exported, and
how it was trained. The description is read without torch; torch itself is imported when a
model is loaded, because that takes longer than everything else.

The network always runs one segment at a time: a matrix product is not bit-stable when its
row count changes, and the events of a stream must equal those of the file.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsed.config import FrontendConfig, PostConfig, StreamConfig

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 1
INFO_NAME = "streamsed.json"
SHIPPED = Path(__file__).parent / "models"

_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Describe a model file: what it detects, how it is used, where it comes from.

    Parameters
    ----------
    name : str
        What the model is called.
    labels : tuple of str
        The columns of its scores.
    frontend, stream, post : FrontendConfig, StreamConfig, PostConfig
        The features it was trained on, and its default settings.
    scores_at_export : mapping
        What it scored on which data when it was exported.
    training : mapping
        How it was trained.
    parameters : int
        Trained numbers in the network.
    gmac : float
        Billions of multiplications for one segment.
    """

    name: str
    labels: tuple[str, ...]
    frontend: FrontendConfig
    stream: StreamConfig
    post: PostConfig
    scores_at_export: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
    gmac: float = 0.0

    def __post_init__(self) -> None:
        """Check the labels, and the settings that depend on them or on each other."""
        labels = self.labels
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"labels={labels} must be at least one, each once")
        self.stream.in_score_frames(self.frontend)
        for setting in fields(self.post):
            self.post.per_label(setting.name, labels)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that JSON can hold, with the format's version."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "labels": list(self.labels),
            "frontend": self.frontend.to_dict(),
            "stream": self.stream.to_dict(),
            "post": self.post.to_dict(),
            "scores_at_export": dict(self.scores_at_export),
            "training": dict(self.training),
            "parameters": self.parameters,
            "gmac": self.gmac,
        }

    @classmethod
    def from_dict(cls, info: Mapping[str, Any]) -> ModelInfo:
        """Build from `to_dict`'s form.

        Raises
        ------
        ValueError
            The format's version is another, or a setting is unknown or out of range.
        KeyError, TypeError
            Something is missing, or is not of its type.
        """
        version = info["format_version"]
        if version != FORMAT_VERSION:
            raise ValueError(f"format_version={version} must be {FORMAT_VERSION}")
        return cls(
            name=str(info["name"]),
            labels=tuple(str(label) for label in info["labels"]),
            frontend=FrontendConfig.from_dict(info["frontend"]),
            stream=StreamConfig.from_dict(info["stream"]),
            post=PostConfig.from_dict(info["post"]),
            scores_at_export=dict(info["scores_at_export"]),
            training=dict(info["training"]),
            parameters=int(info["parameters"]),
            gmac=float(info["gmac"]),
        )

    @classmethod
    def read(cls, path: Path) -> ModelInfo:
        """Read the description inside a model file, without torch.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is not a model of this project, or is damaged.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                names = [n for n in archive.namelist() if n.endswith(f"/{INFO_NAME}")]
                if not names:
                    raise ValueError(f"it holds no {INFO_NAME}")
                if (bad := archive.testzip()) is not None:  # torch.jit.load looks away
                    raise ValueError(f"its {bad} is damaged")
                return cls.from_dict(json.loads(archive.read(names[0])))
        except _UNREADABLE as error:
            raise ValueError(
                f"model={path} must be an archive written by `python -m train export` "
                f"({error}); shipped models: {', '.join(shipped_models())}"
            ) from error


def shipped_models() -> list[str]:
    """Return the names of the models that are part of the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.pt"))


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a shipped model by its name, or of any model by its path.

    Raises
    ------
    FileNotFoundError
        It is neither; the message names the shipped models.
    """
    if str(name_or_path) in shipped_models():
        return SHIPPED / f"{name_or_path}.pt"
    path = Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"model={name_or_path} must be a shipped name "
            f"({', '.join(shipped_models())}) or the path of a model file"
        )
    return path


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
