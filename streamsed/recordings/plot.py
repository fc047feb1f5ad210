"""A recording as a picture: log-mel, where the self-mask looked, scores and events."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from streamsed.atomic_write import replacing
from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.inference.model_file import ModelInfo
from streamsed.installation import install_command
from streamsed.recordings.detection import Detection
from streamsed.samples import Float32

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_DURATION = 3600.0
"""Seconds; a longer recording shows nothing in one picture and fills the memory."""


def plot_detection(path: Path, found: Detection, info: ModelInfo) -> None:
    """Draw what the detector heard and said, as a PNG.

    Parameters
    ----------
    path : Path
        Where the picture goes; it appears whole or not at all.
    found : Detection
        With a trace that kept its frames.
    info : ModelInfo
        Labels and grid of the model that found it.

    Raises
    ------
    OSError
        The picture cannot be written.
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The recording is too short for a frame, or has no trace.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--plot must have matplotlib; install it with `{install_command('plot')}`"
        ) from error

    if found.trace is None:
        raise ValueError("found must have a trace; detect with one")
    if not len(found.trace.frames):
        raise ValueError(
            f"{found.recording.path} must be longer for --plot; it is empty"
        )
    duration = info.frontend.score_frame_duration
    end = len(found.trace.scores) * duration
    width = float(np.clip(end * 0.5, 8, 40))
    figure = Figure(figsize=(width, 7), layout="constrained")
    mel, mask, lanes = figure.subplots(3, 1, sharex=True, height_ratios=[4, 1, 4])
    _draw_frames(mel, found.trace.frames, end, info.frontend)
    mel.set_title(_printable(found.recording.name), parse_math=False)
    region = found.trace.region
    times = (np.arange(len(region)) + 0.5) * duration
    mask.fill_between(times, region, color="tab:gray", alpha=0.6, linewidth=0)
    mask.set(ylim=(0, 1), ylabel="self-mask")
    _draw_lanes(lanes, found.trace.scores, end, found.events, info.labels)
    with replacing(path) as scratch, warnings.catch_warnings():
        # A character that the font lacks is drawn as a box; that is no news.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(scratch, format="png", dpi=100)


def _draw_frames(
    axes: Axes, frames: Float32, end: float, frontend: FrontendConfig
) -> None:
    """Draw the log-mel, down to the floor that the network sees."""
    picture = _pooled(frames, n_columns=4000)
    axes.imshow(
        np.maximum(picture, picture.max() - frontend.top_db).T,
        origin="lower",
        aspect="auto",
        extent=(0, end, 0, frontend.n_mels),
        cmap="magma",
    )
    axes.set(ylabel="mel band")


def _draw_lanes(
    axes: Axes,
    scores: Float32,
    end: float,
    events: Sequence[Event],
    labels: Sequence[str],
) -> None:
    """Draw a lane for each label: scores as shades, events as bars."""
    axes.imshow(
        scores.T,
        aspect="auto",
        extent=(0, end, len(labels) - 0.5, -0.5),
        cmap="Blues",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    for event in events:
        lane = labels.index(event.label)
        axes.plot([event.onset, event.offset], [lane, lane], color="tab:red", lw=4)
    axes.set(xlabel="seconds", xlim=(0, end), yticks=range(len(labels)))
    axes.set_yticklabels(labels, parse_math=False)


def _printable(name: str) -> str:
    """Replace what cannot be drawn: line ends, and bytes that are not UTF-8."""
    return " ".join(os.fsencode(name).decode(errors="replace").split())


def _pooled(frames: Float32, *, n_columns: int) -> Float32:
    """Take maxima over equal spans of frames, so that at most `n_columns` remain."""
    span = -(-len(frames) // n_columns)
    padded = np.pad(frames, ((0, -len(frames) % span), (0, 0)), mode="edge")
    pooled: Float32 = padded.reshape(-1, span, frames.shape[1]).max(axis=1)
    return pooled
