"""The identity of a corpus: the model, engine and settings of all its rows.

It is stored in `OUT/corpus.json`. A run with another identity is refused, because a table
in which half of the events have another threshold would be misleading.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamsed
from streamsed.atomic_write import write
from streamsed.config import PostConfig, StreamConfig
from streamsed.inference.model import Model

FILE = "corpus.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything the rows depend on, except the recordings.

    Parameters
    ----------
    model, sha256 : str
        The model's name, and the SHA-256 of its file.
    labels : tuple of str
        Its labels.
    engine : str
        Engine and precision, such as "openvino int8".
    settings : mapping
        All other settings that affect rows, as JSON values.
    """

    model: str
    sha256: str
    labels: tuple[str, ...]
    engine: str
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        model: Model,
        stream: StreamConfig,
        post: PostConfig,
        *,
        labels: Sequence[str],
        scores: bool,
    ) -> Identity:
        """Return the identity of a loaded model and the settings of a run."""
        full = post.override(model.info.labels, {})
        settings = {
            "step": stream.step,
            "settle": stream.settled,  # the latency of a stream does not affect rows
            **full.to_dict(),
            "labels": list(labels),
            "scores": scores,
        }
        return cls(
            model=model.info.name,
            sha256=model.sha256,
            labels=model.info.labels,
            engine=model.chosen.name,
            settings=json.loads(json.dumps(settings)),
        )

    @property
    def settings_hash(self) -> str:
        """Hash of the settings and the engine, sixteen hexadecimal digits."""
        text = json.dumps([self.engine, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def stamp(self) -> dict[str, str]:
        """Return the columns that identify the model and settings in every row."""
        return {
            "model": self.sha256,
            "settings": self.settings_hash,
            "version": streamsed.__version__,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `corpus.json`."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "labels": list(self.labels),
            "engine": self.engine,
            "settings": self.settings,
            "settings_hash": self.settings_hash,
        }

    def claim(self, folder: Path) -> None:
        """Create a corpus with this identity, or check that it has this identity.

        Raises
        ------
        ValueError
            It has another identity; the message lists the differences.
        """
        path = folder / FILE
        if not path.exists():
            own = path.with_name(f".{FILE}.{os.getpid()}")
            write(own, [json.dumps(self.to_dict(), indent=1) + "\n"])
            try:
                os.link(own, path)  # if several shards start at once, one wins
            except FileExistsError:
                pass
            finally:
                own.unlink()
        there = read_identity(folder)
        if differences := _differences(there, self.to_dict()):
            raise ValueError(
                f"{folder} contains results with other settings "
                f"({'; '.join(differences)}); use the same settings, or another folder "
                "with --output"
            )


def read_identity(folder: Path) -> dict[str, Any]:
    """Return the contents of `corpus.json`.

    Raises
    ------
    ValueError
        It does not exist or is invalid.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found["settings"], dict) or not found["labels"]:
            raise ValueError("something is missing")
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: not a folder of `streamsed corpus` (it has no {FILE})"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: damaged, or not written by `streamsed corpus` ({error})"
        ) from error
    return dict(found)


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """List the differences, with both values."""
    found = [
        f"{name} was {there.get(name)} and is now {here[name]}"
        for name in ("model", "engine")
        if there.get(name) != here[name]
    ]
    if there.get("model") != here["model"]:
        return found  # its settings have other labels
    if there.get("sha256") != here["sha256"]:
        found.append(f"the file of the model {here['model']} has changed")
    for name in sorted(there["settings"].keys() | here["settings"].keys()):
        pair = there["settings"].get(name), here["settings"].get(name)
        if pair[0] != pair[1]:
            found.append(_difference(name, *pair))
    return found


def _difference(name: str, there: Any, here: Any) -> str:
    """Describe how a setting differs; by label, only the first difference."""
    more = ""
    if isinstance(there, dict) and isinstance(here, dict):
        labels = sorted(
            label
            for label in there.keys() | here.keys()
            if there.get(label) != here.get(label)
        )
        name = f"{name} of {labels[0]}"
        there, here = there.get(labels[0]), here.get(labels[0])
        more = f", and {len(labels) - 1} more" if len(labels) > 1 else ""
    return f"{name} was {there} and is now {here}{more}"
