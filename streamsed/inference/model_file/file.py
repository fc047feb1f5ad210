"""Read a model file whole, and check it, before anything in it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsed.inference.archive import Archive
from streamsed.inference.model_file.info import ModelInfo
from streamsed.inference.model_file.shipped import shipped_models
from streamsed.inference.trust import origin
from streamsed.strict_json import read_json

INFO_NAME = "streamsed.json"
SEAL = "seal"
"""The entry of the description with the checksum of everything else in the file."""


class OtherFileError(ValueError):
    """A model file does not have the required SHA-256."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file that was read and checked completely; none of it is executed.

    Parameters
    ----------
    path : Path
        Where it was read from.
    archive : Archive
        Its contents.
    info : ModelInfo
        Its description.
    """

    path: Path
    archive: Archive
    info: ModelInfo

    @classmethod
    def open(cls, path: Path, *, sha256: str | None = None) -> ModelFile:
        """Read and check a file.

        Parameters
        ----------
        path : Path
            The file.
        sha256 : str or None
            Its required SHA-256, in hexadecimal digits.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is not a model of this project, is damaged, or has another SHA-256
            than required.
        """
        try:
            archive = Archive.open(path)
            if sha256 is not None and archive.sha256 != sha256.strip().lower():
                raise OtherFileError(
                    f"{path}: its SHA-256 is {archive.sha256}, not the required {sha256}"
                )
            archive.check_all()
            description = read_json(archive.read(f"extra/{INFO_NAME}"))
            if not isinstance(description, dict):
                raise ValueError(f"its {INFO_NAME} must be an object")  # noqa: TRY004
            info = ModelInfo.from_dict(description)
            seal = description.get(SEAL)
            if seal is not None and seal != seal_of(archive, description):
                raise ValueError("it was altered after export")
            return cls(path, archive, info)
        except OtherFileError:
            raise
        except ValueError as error:
            raise ValueError(
                f"{path}: not a model file of `python -m train export` ({error}); "
                f"shipped models: {', '.join(shipped_models())}"
            ) from error

    @property
    def sha256(self) -> str:
        """Its SHA-256 in hexadecimal digits."""
        return self.archive.sha256

    @property
    def origin(self) -> str:
        """Where it comes from; see `streamsed.inference.trust.origin`."""
        return origin(self.sha256)


def seal_of(archive: Archive, description: Mapping[str, Any]) -> str:
    """Return the checksum of a file's contents, by which alterations are detected.

    It is not a signature: whoever alters a file on purpose can recompute it.
    """
    stated = {name: value for name, value in description.items() if name != SEAL}
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for name in sorted(archive.members):
        below = name.partition("/")[2]
        if below not in (f"extra/{INFO_NAME}", ".data/serialization_id"):
            content = hashlib.sha256(archive.inflate(name)).hexdigest()
            digest.update(f"\n{below} {content}".encode())
    return digest.hexdigest()
