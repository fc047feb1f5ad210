"""Ways to stitch: what each makes of two views, and the table of all."""

import numpy as np
import pytest
from scored_recordings import dog, recording, vacuum

from scripts import stitching
from streamsed.pipeline.stitcher import ScoreFrames
from train.evaluation.continuous.kept_scores import save_scored


def stitched(name, *, first=0.2, second=0.8):
    """The final scores of two views of 32 frames, 8 frames apart, at full context."""
    stitcher = stitching.WAYS[name](n_labels=1, segment_length=32, latency=32)
    final = []
    for index, score in enumerate((first, second)):
        scores = np.full((32, 1), score, np.float32)
        view = ScoreFrames(scores, np.zeros(32, np.float32))
        final.append(stitcher.push(view, 8 * index, 32 + 8 * index))
    whole = ScoreFrames.joined([*final, stitcher.flush()])
    return whole.scores.ravel()


@pytest.mark.parametrize("name", stitching.WAYS)
def test_where_there_is_one_view_every_way_takes_its_scores(name):
    assert stitched(name)[0] == pytest.approx(0.2)  # final before the second
    assert stitched(name)[32:] == pytest.approx(0.8)  # past the first


@pytest.mark.parametrize(
    ("name", "frame", "expected"),
    [
        ("triangle (as shipped)", 16, (16 * 0.2 + 9 * 0.8) / 25),
        ("newest view", 16, 0.8),
        ("uniform", 16, 0.5),
        ("0.5 s from the right edge", 28, 0.8),  # 4 frames from the edge of the first
        ("1 s from the right edge", 20, 0.8),
        ("slopes of 1 s, flat between", 18, (13 * 0.2 + 11 * 0.8) / 24),
        ("triangle, squared", 16, (256 * 0.2 + 81 * 0.8) / 337),
        ("triangle, cubed", 16, (4096 * 0.2 + 729 * 0.8) / 4825),
        ("cubed slopes of 1 s, flat between", 18, (2197 * 0.2 + 1331 * 0.8) / 3528),
        ("mean of logits", 16, 1 / (1 + 4 ** (7 / 25))),
    ],
)
def test_two_views_are_weighted_as_the_name_of_the_way_says(name, frame, expected):
    assert stitched(name)[frame] == pytest.approx(expected, abs=1e-5)


def test_each_way_has_a_row_at_both_latencies_with_both_halves(
    tmp_path, monkeypatch, capsys
):
    for half in (0, 1):
        events = [dog(5 + half), vacuum(15, 10)]
        save_scored(tmp_path / str(half), [recording("events", events, [0.9, 0.9])])
    names = ("triangle (as shipped)", "newest view")
    chosen = {name: stitching.WAYS[name] for name in names}
    monkeypatch.setattr(stitching, "WAYS", chosen)
    stitching.main([str(tmp_path)])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [f"| {name}", latency, "100.0 / 100.0"]
        for name in names
        for latency in ("1", "10")
    ]


def test_a_folder_without_scores_ends_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        stitching.main([str(tmp_path)])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stitching: error: ")
