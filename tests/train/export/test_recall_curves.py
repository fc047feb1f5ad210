"""Operating points in model files: put there without touching anything else."""

import re
import zipfile

import pytest
from archives import members

from streamsed.config import PostConfig
from streamsed.inference.model_file import ModelFile
from streamsed.inference.thresholds.operating_points import OperatingPoint
from streamsed.inference.thresholds.recall_curves import RecallCurves
from train.export.model_file import with_operating_points
from train.export.operating_points import Tuned, points_for, write_operating_points

CURVES = RecallCurves(10.0, (0.2, 0.8), {"Dog": (0.9, 0.5)}, {"Dog": 12})


def test_curves_are_added_to_a_model_file_and_nothing_else_changes(
    exported, tmp_path, train
):
    path = tmp_path / "points.json"
    write_operating_points(path, Tuned([], [CURVES], {}))
    output = tmp_path / "with_recall.pt"
    code, printed = train(
        "export", exported, "--operating-points", path, "--output", output
    )
    assert code == 0, printed.err
    file = ModelFile.open(output)  # its seal holds
    assert file.info.recall_curves == (CURVES,)
    assert file.origin == "exported"
    before, after = members(exported), members(output)
    assert [n for n in before if before[n] != after[n]] == ["extra/streamsed.json"]
    assert file.info.engines == ModelFile.open(exported).info.engines
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(output) as new:
        assert old.namelist() == new.namelist()


def test_points_are_replaced_if_the_settings_of_the_file_are_among_them(
    exported, tmp_path, train
):
    own = ModelFile.open(exported).info
    points = [
        OperatingPoint("low", 1.0, PostConfig(onset_threshold=0.9), {}),
        OperatingPoint("normal", own.stream.settled, own.post, {}),
    ]
    path, output = tmp_path / "points.json", tmp_path / "new.pt"
    write_operating_points(path, Tuned(points, [CURVES], {"how": "crosswise"}))
    code, printed = train(
        "export", exported, "--operating-points", path, "--output", output
    )
    assert code == 0, printed.err
    info = ModelFile.open(output).info
    assert list(info.operating_points) == points
    assert info.scores_at_export["continuous"] == {"how": "crosswise"}
    assert (info.post, info.engines) == (own.post, own.engines)


def test_points_whose_normal_sensitivity_was_not_checked_are_refused(
    exported, tmp_path, train
):
    path, output = tmp_path / "points.json", tmp_path / "new.pt"
    point = OperatingPoint("normal", 10.0, PostConfig(onset_threshold=0.9), {})
    write_operating_points(path, Tuned([point], [CURVES], {}))
    code, printed = train(
        "export", exported, "--operating-points", path, "--output", output
    )
    assert code == 2
    assert "points.json: has other thresholds of normal sensitivity than" in printed.err
    assert not output.exists()


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "has no thresholds of normal sensitivity"),
        ([OperatingPoint("low", 1.0, PostConfig(), {})], "has no thresholds of normal"),
        (
            [OperatingPoint("normal", 1.0, PostConfig({"Dog": 0.4}), {})],
            "its thresholds are of other labels than the network's (Cat of one",
        ),
        (
            [
                OperatingPoint(
                    "normal", 1.0, PostConfig({"Dog": 1, "Cat": 1, "Cow": 1}), {}
                )
            ],
            "its thresholds are of other labels than the network's (Cow of one",
        ),
    ],
)
def test_points_that_do_not_fit_a_run_are_refused(points, words, tmp_path):
    path = tmp_path / "points.json"
    write_operating_points(path, Tuned(points, [CURVES], {}))
    with pytest.raises(ValueError, match=rf"points\.json: {re.escape(words)}"):
        points_for(path, ("Dog", "Cat"))


def test_points_without_curves_are_refused(exported, tmp_path, train):
    path = tmp_path / "points.json"
    write_operating_points(path, Tuned([], [], {}))
    code, printed = train(
        "export", exported, "--operating-points", path, "--output", tmp_path / "n.pt"
    )
    assert code == 2
    assert "has no recall curves; run `python -m train tune` again" in printed.err


def test_a_model_file_alone_is_nothing_to_export(exported, tmp_path, train):
    code, printed = train("export", exported, "--output", tmp_path / "new.pt")
    assert code == 2
    assert (
        "a model file; give the folder of a run, or --operating-points" in printed.err
    )


def test_curves_of_labels_that_the_model_lacks_leave_the_file_alone(exported, tmp_path):
    strange = RecallCurves(10.0, (0.2, 0.8), {"Cow": (0.9, 0.5)}, {"Cow": 12})
    with pytest.raises(ValueError, match="unknown label 'Cow'"):
        with_operating_points(exported, tmp_path / "new.pt", Tuned([], [strange], {}))
    assert list(tmp_path.iterdir()) == []
