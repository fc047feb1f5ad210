"""A recording as a picture: log-mel, where the self-mask looked, scores and events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamsed.config import FrontendConfig
from streamsed.config.settings import shortened
from streamsed.events import Event
from streamsed.inference.model_file import ModelInfo
from streamsed.pipeline.trace import Trace
from streamsed.plots.mel_axis import ticks
from streamsed.plots.picture_file import DPI, new_figure, save_figure
from streamsed.recordings.detection import Detection
from streamsed.recordings.picture import THEMES, Picture, Theme
from streamsed.samples import Float32

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLUMNS = 4000
"""Maximum number of columns of the spectrogram; more than a screen has."""
NUMBER_WIDTH = 34.0
"""Width of the score of an event, with margin, in pixels."""


class Part(NamedTuple):
    """The plotted part: its times and data."""

    start: float
    stop: float
    frames: Float32
    scores: Float32
    region: Float32
    events: Sequence[Event]


def plot_detection(
    path: Path,
    found: Detection,
    info: ModelInfo,
    picture: Picture | None = None,
    *,
    sha256: str = "",
) -> None:
    """Plot the log-mel, scores and events of a recording as a picture.

    Parameters
    ----------
    path : Path
        Output file, written atomically; see `streamsed.plots.picture_file`.
    found : Detection
        With a trace of the plotted frames.
    info : ModelInfo
        Description of the model.
    picture : Picture or None
        Part and colours; None is the whole recording in light colours.
    sha256 : str
        SHA-256 of the model file, for the metadata.

    Raises
    ------
    OSError
        The plot cannot be written.
    ModuleNotFoundError
        matplotlib is not installed.
    ValueError
        The recording is too short for a frame, ends before the part starts, or has no
        trace.
    """
    picture = picture or Picture()
    part, theme = _part(found, info.frontend, picture), THEMES[picture.theme]
    width = float(np.clip((part.stop - part.start) * 0.5, 8, 40))
    height = 4.5 + 0.36 * len(info.labels)
    figure = new_figure(width, height)
    ratios = [3.0, 0.7, 0.36 * len(info.labels)]
    mel, mask, lanes = figure.subplots(3, 1, sharex=True, height_ratios=ratios)
    _draw_frames(figure, mel, part, info.frontend)
    title = _printable(found.recording.name)
    mel.set_title(title, parse_math=False, loc="left", color=theme.ink)
    _draw_region(mask, part, theme)
    _draw_lanes(figure, lanes, part, info.labels, theme)
    _colour(figure, theme)
    save_figure(figure, path, about=f"model {info.name}, sha256 {sha256}")


def _part(found: Detection, frontend: FrontendConfig, picture: Picture) -> Part:
    """Return the plotted part; the trace need not contain other frames."""
    trace, path = found.trace, found.recording.path
    if trace is None:
        raise ValueError("found must have a trace: detect with a Trace")
    scores, duration = trace.scores, frontend.score_frame_duration
    end = len(scores) * duration
    if not end:
        raise ValueError(f"{path}: too short for --plot")
    if picture.start >= end:
        raise ValueError(f"--from must be before the end of {path} ({end:.1f} s)")
    stop = min(end, picture.stop or end)
    first, last = int(picture.start / duration), int(np.ceil(stop / duration))
    events = [e for e in found.events if e.onset < stop and picture.start < e.offset]
    return Part(
        first * duration,
        last * duration,
        _frames(trace, first * frontend.subsampling, last * frontend.subsampling),
        scores[first:last],
        trace.region[first:last],
        events,
    )


def _frames(trace: Trace, first: int, last: int) -> Float32:
    """Return the frames of a part, padded at the end of the recording."""
    before = trace.first_frame
    return trace.frames[max(0, first - before) : last - before]


def _draw_frames(
    figure: Figure, axes: Axes, part: Part, frontend: FrontendConfig
) -> None:
    """Plot the log-mel, clipped as in the network's input."""
    picture = _pooled(part.frames, n_columns=N_COLUMNS)
    duration = len(part.frames) * frontend.hop_length / frontend.sample_rate
    image = axes.imshow(
        np.maximum(picture, picture.max() - frontend.top_db).T,
        origin="lower",
        aspect="auto",
        extent=(part.start, part.start + duration, 0, frontend.n_mels),
        cmap="magma",
    )
    axes.set_yticks(*ticks(frontend))
    axes.set(ylabel="frequency (Hz, mel scale)")
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.02, label="log-mel (dB)")


def _draw_region(axes: Axes, part: Part, theme: Theme) -> None:
    """Plot the self-mask's probability that there is any event."""
    edges = np.linspace(part.start, part.stop, len(part.region) + 1)
    axes.stairs(part.region, edges, fill=True, color=theme.faint)
    axes.set(ylim=(0, 1), ylabel="self-mask", yticks=(0, 1))


def _draw_lanes(
    figure: Figure, axes: Axes, part: Part, labels: Sequence[str], theme: Theme
) -> None:
    """Plot a lane per label: scores as shades, events as bars with their scores."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.lines import Line2D

    colours = [theme.background, theme.score]
    image = axes.imshow(
        part.scores.T,
        aspect="auto",
        extent=(part.start, part.stop, len(labels) - 0.5, -0.5),
        cmap=LinearSegmentedColormap.from_list("scores", colours),
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    free = dict.fromkeys(labels, -np.inf)  # where each lane has room for a number
    pixels = figure.get_figwidth() * DPI * 0.8
    width = NUMBER_WIDTH * (part.stop - part.start) / pixels
    for event in part.events:
        lane = labels.index(event.label)
        onset, offset = max(event.onset, part.start), min(event.offset, part.stop)
        axes.plot([onset, offset], [lane + 0.3] * 2, color=theme.event, lw=4,
                  solid_capstyle="butt")  # fmt: skip
        if onset >= free[event.label]:
            free[event.label] = onset + width
            axes.text(onset, lane + 0.12, f"{event.score:.2f}", color=theme.ink,
                      fontsize=9, clip_on=True)  # fmt: skip
    axes.hlines(np.arange(len(labels) - 1) + 0.5, part.start, part.stop,
                color=theme.faint, lw=0.4)  # fmt: skip
    axes.set(xlabel="seconds", xlim=(part.start, part.stop), yticks=range(len(labels)))
    axes.set_yticklabels(map(shortened, labels), parse_math=False)
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.02, label="score")
    bar = Line2D([], [], color=theme.event, lw=4, label="event, with its mean score")
    figure.legend(handles=[bar], loc="outside upper right", frameon=False,
                  labelcolor=theme.ink)  # fmt: skip


def _colour(figure: Figure, theme: Theme) -> None:
    """Apply the theme's colours to a figure and its axes."""
    figure.set_facecolor(theme.background)
    for axes in figure.axes:
        axes.set_facecolor(theme.background)
        axes.tick_params(colors=theme.ink, which="both")
        for spine in axes.spines.values():
            spine.set_color(theme.faint)
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_color(theme.ink)


def _printable(name: str) -> str:
    """Replace line breaks and bytes that are not UTF-8."""
    return " ".join(os.fsencode(name).decode(errors="replace").split())


def _pooled(frames: Float32, *, n_columns: int) -> Float32:
    """Take the maximum over equal spans of frames, leaving at most `n_columns`."""
    span = -(-len(frames) // n_columns)
    padded = np.pad(frames, ((0, -len(frames) % span), (0, 0)), mode="edge")
    pooled: Float32 = padded.reshape(-1, span, frames.shape[1]).max(axis=1)
    return pooled
