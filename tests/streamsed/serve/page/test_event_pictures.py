"""Pictures of events: the PNG that any program reads, the part that is cut, the folder."""

import io
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from small_home import COLUMN, SmallHome

from streamsed.serve.page.pictures import event_pictures as module
from streamsed.serve.page.pictures.event_pictures import EventPictures, cut
from streamsed.serve.page.pictures.png import palette, read_text, write_png


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 70))),
    st.dictionaries(st.sampled_from(["lead", "column"]), st.text("0123456789.-", max_size=9)),
)  # fmt: skip
def test_any_program_reads_the_levels_back_and_we_the_words(levels, words):
    png = write_png(levels, text=words)
    picture = Image.open(io.BytesIO(png))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture), levels.T[::-1])
    assert read_text(png) == words
    assert picture.text == words


def test_the_loudest_tenth_is_brighter_than_the_softest():
    colours = np.frombuffer(palette(), np.uint8).reshape(256, 3).astype(int)
    brightness = colours.sum(axis=1)
    assert (np.diff(brightness) >= 0).all()


def test_a_quiet_recording_is_drawn_with_the_same_contrast_as_a_loud_one():
    ramp = np.arange(60, dtype=np.uint8)[:, None].repeat(64, axis=1)
    quiet, loud = (
        np.asarray(Image.open(io.BytesIO(write_png(ramp + shift))).convert("L"))
        for shift in (20, 150)
    )
    np.testing.assert_array_equal(quiet, loud)
    assert quiet.max() > 150


@given(st.binary(max_size=200))
def test_what_is_no_picture_has_no_words(data):
    assert read_text(data) == {}
    png = write_png(np.zeros((2, 2), np.uint8), text={"lead": "1"})
    assert read_text(png[: len(data)]) in ({}, {"lead": "1"})


@pytest.fixture
def home(tmp_path):
    home = SmallHome(tmp_path)
    yield home
    home.server._socket.close()
    for sink in home.sinks:
        sink.close()


def test_a_cut_begins_a_second_before_and_ends_a_second_after(home):
    snapshot = home.snapshot("kitchen")
    onset = snapshot.now - 20
    levels, start = cut(snapshot, onset, onset + 3)
    assert len(levels) * COLUMN == pytest.approx(5, abs=2 * COLUMN)
    assert onset - start == pytest.approx(1, abs=COLUMN)
    first = round(start / COLUMN)
    np.testing.assert_array_equal(levels, home.noise[first : first + len(levels)])


@pytest.mark.parametrize(("onset", "offset"), [(0.0, 1.0), (-1.0, 0.5), (0.2, 1e6)])
def test_a_cut_at_an_end_of_what_is_known_is_shorter(home, onset, offset):
    levels, start = cut(home.snapshot("kitchen"), onset, offset)
    assert 0 < len(levels) * COLUMN <= module.LONGEST + 2.1
    assert start == 0


def test_a_cut_of_an_event_longer_than_what_is_known_starts_there(home):
    home.began -= 1000
    snapshot = home.snapshot("kitchen")
    oldest = COLUMN * (snapshot.picture_end - len(snapshot.picture))
    levels, start = cut(snapshot, oldest - 300.0, snapshot.now - 10.0)
    assert start == pytest.approx(oldest)
    assert len(levels) * COLUMN == pytest.approx(module.LONGEST + 2.0, abs=2 * COLUMN)


def test_an_event_long_before_what_is_known_has_no_picture(home, tmp_path):
    home.began -= 1000
    home.lifecycle("kitchen", "Dog", ago=900, number=1)
    home.pictures.close()
    assert not (tmp_path / "pictures").exists()


def test_the_folder_is_private_and_names_cannot_leave_it(home, tmp_path):
    home.lifecycle("kitchen", "Dog", number=7)
    home.pictures.close()
    assert (tmp_path / "pictures").stat().st_mode & 0o77 == 0
    pictures = home.pictures
    assert pictures.path(source="kitchen", run=home.run, number=7) is not None
    for source, run in [
        ("../kitchen", "a"),
        ("kitchen", ".."),
        ("a/b", "a"),
        ("", "a"),
    ]:
        assert pictures.path(source=source, run=run, number=7) is None


def test_old_pictures_go_and_files_of_others_stay(home, tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    long_ago = time.time() - 3 * 86400
    for name in ("0a-kitchen-1.png", "holiday.png", "0a-kitchen-2.png"):
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (long_ago, long_ago))
    os.utime(folder / "0a-kitchen-2.png")
    pictures = EventPictures(folder, home, days=2)
    pictures._sweep()
    assert sorted(p.name for p in folder.iterdir()) == [
        "0a-kitchen-2.png",
        "holiday.png",
    ]
    monkeypatch.setattr(module, "MAX_BYTES", 999)
    pictures._sweep()
    assert [p.name for p in folder.iterdir()] == ["holiday.png"]
    pictures.close()


def test_a_folder_that_cannot_be_written_is_reported_and_detection_continues(
    home, tmp_path
):
    (tmp_path / "pictures").write_text("a file")
    home.lifecycle("kitchen", "Dog")
    home.pictures.close()
    assert home.pictures.failures()["failed"] == 1
    assert home.pictures.notices()
