import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, scene, silence

from streamsed.detector import Detector
from streamsed.pipeline.trace import Trace
from streamsed.recordings.detection import Detection, Recording
from streamsed.recordings.plot import plot_detection

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def draw(model):
    """Detect in samples and draw it."""

    def work(path, samples, name="a.wav"):
        trace = Trace(keep_frames=True)
        events = sorted(Detector(model).events([samples], observer=trace))
        recording = Recording(Path(name), name)
        plot_detection(
            path, Detection(recording, events, len(samples), trace), model.info
        )
        return events

    return work


def pixels_of(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def test_the_picture_shows_each_event_as_a_red_bar(draw, tmp_path):
    silent, loud = tmp_path / "silent.png", tmp_path / "loud.png"
    assert draw(silent, silence(8)) == []
    events = draw(loud, scene(8))
    assert len(events) > 2

    def n_red(path):
        red, green, blue = np.moveaxis(pixels_of(path), -1, 0)
        return int(((red > 0.7) & (green < 0.3) & (blue < 0.3)).sum())

    # The spectrogram has red pixels of its own, but not of this share.
    assert n_red(loud) > n_red(silent) + 500


def test_a_longer_recording_makes_a_wider_picture(draw, tmp_path):
    draw(tmp_path / "a.png", scene(10))
    draw(tmp_path / "b.png", scene(40))
    assert (
        pixels_of(tmp_path / "a.png").shape[1] < pixels_of(tmp_path / "b.png").shape[1]
    )


@pytest.mark.parametrize("n_samples", [1, 500, RATE])
def test_a_short_recording_can_be_drawn(draw, tmp_path, n_samples):
    draw(tmp_path / "a.png", np.ones(n_samples, np.float32))
    assert pixels_of(tmp_path / "a.png").size > 0


@pytest.mark.parametrize(
    "name", ["a$b$c$.wav", r"$\frac$.wav", "音\n音.wav", os.fsdecode(b"caf\xe9.wav")]
)
def test_any_name_can_stand_above_the_picture(draw, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path / "a.png", scene(1), name=name)
    assert (tmp_path / "a.png").is_file()


def test_a_recording_without_frames_is_refused(draw, tmp_path):
    with pytest.raises(ValueError, match=r"a\.wav must be longer for --plot"):
        draw(tmp_path / "a.png", silence(0))
    assert list(tmp_path.iterdir()) == []


def test_a_detection_without_a_trace_is_refused(model, tmp_path):
    found = Detection(Recording(Path("a.wav"), "a.wav"), [], RATE)
    with pytest.raises(ValueError, match="found must have a trace"):
        plot_detection(tmp_path / "a.png", found, model.info)


def test_a_picture_that_cannot_be_written_leaves_nothing(draw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"must be in a folder, and .*file is"):
        draw(tmp_path / "file" / "a.png", scene(1))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
