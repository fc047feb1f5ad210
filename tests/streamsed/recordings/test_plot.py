import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import RATE, scene, silence

from streamsed.config import PostConfig
from streamsed.detector import Detector
from streamsed.pipeline.trace import Trace
from streamsed.recordings.detection import Detection, Recording
from streamsed.recordings.picture import Picture, seconds_of
from streamsed.recordings.plot import plot_detection

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def draw(model):
    """Detect in samples and draw it."""

    def work(path, samples, name="a.wav", picture=None, **kept):
        trace = Trace(keep_frames=True, **kept)
        events = sorted(Detector(model).events([samples], observer=trace))
        recording = Recording(Path(name), name)
        plot_detection(
            path, Detection(recording, events, len(samples), trace), model.info, picture
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


def test_labels_of_any_length_leave_room_for_the_picture(model, tmp_path):
    samples, trace = scene(8), Trace(keep_frames=True)
    list(Detector(model).events([samples], observer=trace))
    labels = tuple(f"{each}-" + "x" * 190 for each in model.info.labels)
    info = replace(
        model.info,
        labels=labels,
        post=PostConfig(),
        operating_points=(),
        recall_curves=(),
    )
    found = Detection(Recording(Path("a.wav"), "a.wav"), [], len(samples), trace)
    plot_detection(tmp_path / "a.png", found, info)  # warnings are errors here


def test_a_recording_without_frames_is_refused(draw, tmp_path):
    with pytest.raises(ValueError, match=r"a\.wav: too short for --plot"):
        draw(tmp_path / "a.png", silence(0))
    assert list(tmp_path.iterdir()) == []


def test_a_detection_without_a_trace_is_refused(model, tmp_path):
    found = Detection(Recording(Path("a.wav"), "a.wav"), [], RATE)
    with pytest.raises(ValueError, match="found must have a trace"):
        plot_detection(tmp_path / "a.png", found, model.info)


def test_a_picture_that_cannot_be_written_leaves_nothing(draw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file is a file, not a folder"):
        draw(tmp_path / "file" / "a.png", scene(1))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_part_is_what_it_would_be_of_all_of_it(draw, tmp_path):
    samples = scene(20)
    part = Picture(8.0, 12.0)
    draw(tmp_path / "all.png", samples, picture=part)
    # The trace need not have kept more than the part: 3448 samples are 8 frames.
    first, last = int(8 * RATE / 3448) * 8, -int(-12 * RATE // 3448) * 8
    draw(
        tmp_path / "kept.png",
        samples,
        picture=part,
        first_frame=first,
        last_frame=last,
    )
    whole, kept = pixels_of(tmp_path / "all.png"), pixels_of(tmp_path / "kept.png")
    np.testing.assert_array_equal(whole, kept)
    draw(tmp_path / "other.png", samples, picture=Picture(4.0, 8.0))
    assert not np.array_equal(pixels_of(tmp_path / "other.png"), whole)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_the_suffix_is_the_format_and_equal_pictures_are_equal_files(
    draw, tmp_path, suffix, start
):
    one, other = (tmp_path / f"{name}.{suffix}" for name in ("one", "other"))
    for path in (one, other):
        draw(path, scene(2))
    assert one.read_bytes().startswith(start)
    assert one.read_bytes() == other.read_bytes()


def test_the_dark_theme_is_dark(draw, tmp_path):
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    draw(light, silence(2))
    draw(dark, silence(2), picture=Picture(theme="dark"))
    assert (pixels_of(light)[0, 0] == 1).all()
    assert (pixels_of(dark)[0, 0] < 0.2).all()
    n_white = [(pixels_of(path) > 0.95).all(-1).mean() for path in (light, dark)]
    assert n_white[0] > 0.3
    assert n_white[1] < 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theme": "pink"}, "--theme must be light or dark, not 'pink'"),
        ({"start": -1.0}, "--from must be at least 0, not -1"),
        ({"start": 5.0, "stop": 5.0}, r"--to must be later than --from \(5 s\)"),
        ({"start": 1.0, "stop": 7200.0}, "at most 3600 s, and this part has 7199 s"),
    ],
)
def test_a_picture_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Picture(**settings)


def test_a_part_after_the_end_is_refused(draw, tmp_path):
    with pytest.raises(ValueError, match=r"--from must be before the end of a\.wav"):
        draw(tmp_path / "a.png", scene(3), picture=Picture(9.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "1:2:3:4", "soon", "-1", "1:-2", "nan", "inf"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValueError, match=r"--from must be a time such as"):
        seconds_of(text, "--from")


def test_the_command_draws_a_part_of_a_recording_too_long_to_draw(streamsed, tmp_path):
    path, picture = tmp_path / "long.wav", tmp_path / "new" / "part.png"
    with soundfile.SoundFile(path, "w", 8000, 1) as sound:
        for _ in range(62):
            sound.write(np.zeros(60 * 8000, np.float32))
    whole = streamsed("file", path, "--plot", picture)
    assert whole.returncode == 2
    assert "choose a shorter one with --from and --to" in whole.stderr
    part = streamsed(
        *("file", path, "--plot", picture, "--from", "1:01:00", "--to", "1:01:10"),
        *("--theme", "dark"),
    )
    assert (part.returncode, part.stderr) == (0, "")
    assert (pixels_of(picture)[0, 0] < 0.2).all()
