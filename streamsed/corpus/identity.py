"""What makes the rows of a corpus comparable: one model, one engine, one set of settings.

`OUT/corpus.json` says which. Who comes with others is refused: a table in which half of the
events have another threshold looks whole and is not.
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
    """What the rows depend on beside the recordings.

    Parameters
    ----------
    model, sha256 : str
        The model's name, and the SHA-256 of its file.
    labels : tuple of str
        What it detects.
    engine : str
        What ran the network, such as "openvino int8".
    settings : mapping
        Everything else that changes a row, as JSON holds it.
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
        """Describe a loaded model with the settings of a run."""
        full = post.override(model.info.labels, {})
        settings = {
            "step": stream.step,
            "settle": stream.settled,  # the latency of a stream changes no row
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
        """Sixteen hexadecimal digits of the settings and the engine."""
        text = json.dumps([self.engine, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def stamp(self) -> dict[str, str]:
        """Return what every row of events and files says of this."""
        return {
            "model": self.sha256,
            "settings": self.settings_hash,
            "version": streamsed.__version__,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what `corpus.json` holds."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "labels": list(self.labels),
            "engine": self.engine,
            "settings": self.settings,
            "settings_hash": self.settings_hash,
        }

    def claim(self, folder: Path) -> None:
        """Make OUT a corpus of this identity, or see that it is one.

        Raises
        ------
        ValueError
            It is one of another identity; the message says what differs and how to go on.
        """
        path = folder / FILE
        if not path.exists():
            own = path.with_name(f".{FILE}.{os.getpid()}")
            write(own, [json.dumps(self.to_dict(), indent=1) + "\n"])
            try:
                os.link(own, path)  # of several shards that begin at once, one wins
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
    """Return what `corpus.json` says.

    Raises
    ------
    ValueError
        There is none, or it is not ours.
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
    """Name what differs, with both values."""
    found = [
        f"{name} was {there.get(name)} and is now {here[name]}"
        for name in ("model", "engine")
        if there.get(name) != here[name]
    ]
    if there.get("model") != here["model"]:
        return found  # its settings are for other labels
    if there.get("sha256") != here["sha256"]:
        found.append(f"model {here['model']} is another file here")
    for name in sorted(there["settings"].keys() | here["settings"].keys()):
        pair = there["settings"].get(name), here["settings"].get(name)
        if pair[0] != pair[1]:
            found.append(_difference(name, *pair))
    return found


def _difference(name: str, there: Any, here: Any) -> str:
    """Say how a setting differs; of one by label, the first label that does."""
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
    return f"{name} is {there} there and {here} here{more}"
