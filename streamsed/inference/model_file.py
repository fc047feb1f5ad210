"""The artefact: one file that holds a network and everything needed to use it.

A model file is a TorchScript archive with `streamsed.json` inside: labels, front-end,
streaming and post-processing settings, the scores it reached when it was exported, how
other engines agreed with it, and how it was trained. All of that is read here, without
torch; `streamsed.inference.onnx_weights` reads the graphs for other engines that lie beside it.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from streamsed.config import FrontendConfig, PostConfig, StreamConfig

FORMAT_VERSION = 1
INFO_NAME = "streamsed.json"
SHIPPED = Path(__file__).parent.parent / "models"

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
    engines : mapping
        How each engine with its precision ("openvino int8") answered at export:
        `max_difference` of scores, `events_changed` (0 to 1), `probe_difference`,
        `accepted`, and event F1 where it was measured. Empty in older files.
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
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
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
            "engines": {name: dict(record) for name, record in self.engines.items()},
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
            engines=dict(info.get("engines", {})),
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
