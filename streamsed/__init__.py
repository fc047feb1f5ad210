"""Live sound event detection: audio in, named events with exact times out."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsed.audio.decode import file_chunks
    from streamsed.config import FrontendConfig, PostConfig, StreamConfig
    from streamsed.detector import Detector
    from streamsed.events import Event
    from streamsed.inference.model import Model
    from streamsed.pipeline.frontend import Frontend, normalize, scale_segment

__all__ = [
    "Detector",
    "Event",
    "Frontend",
    "FrontendConfig",
    "Model",
    "PostConfig",
    "StreamConfig",
    "file_chunks",
    "normalize",
    "scale_segment",
]

__version__ = "0.1.0"

_MODULES = {
    "Detector": "streamsed.detector",
    "Event": "streamsed.events",
    "Frontend": "streamsed.pipeline.frontend",
    "FrontendConfig": "streamsed.config",
    "Model": "streamsed.inference.model",
    "PostConfig": "streamsed.config",
    "StreamConfig": "streamsed.config",
    "file_chunks": "streamsed.audio.decode",
    "normalize": "streamsed.pipeline.frontend",
    "scale_segment": "streamsed.pipeline.frontend",
}
"""Where each public name is defined; its module is imported when it is first used."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import streamsed` is quick."""
    if name == "_core":
        return _compiled_core()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def _compiled_core() -> ModuleType:
    """Import the C++ core; explain what to do where Python found the sources without it."""
    try:
        return import_module("streamsed._core")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{__path__[0]}: no compiled core here; Python takes the clone's folder for the "
            "installed package. Use `pip install -e .` in the clone, or another folder"
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
