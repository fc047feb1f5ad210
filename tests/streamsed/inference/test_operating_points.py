import json

import pytest

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.inference.model_file import ModelInfo
from streamsed.inference.thresholds.operating_points import (
    OperatingPoint,
    choose_point,
    with_odds,
)

LABELS = ("Cat", "Dog")


def info(*points, **settings):
    return ModelInfo(
        name="some",
        labels=LABELS,
        frontend=FrontendConfig(),
        stream=StreamConfig(),
        post=PostConfig(0.5, {"Dog": 0.25}, smoothing={"Cat": 2.0}),
        operating_points=points,
        **settings,
    )


def point(sensitivity, settle, onset, **false_alarms):
    return OperatingPoint(sensitivity, settle, PostConfig(onset), false_alarms)


def onsets(found):
    return found.post.per_label("onset_threshold", LABELS)


def test_a_file_without_points_has_its_own_thresholds_and_doubles_or_halves_their_odds():
    assert info().operating_point().post == info().post
    low = info().operating_point(sensitivity="low")
    high = info().operating_point(sensitivity="high")
    assert onsets(low) == [0.667, 0.667]
    assert onsets(high) == [0.333, 0.333]
    assert low.post.per_label("offset_threshold", LABELS) == [0.667, 0.4]
    assert high.post.per_label("offset_threshold", LABELS) == [0.333, 0.143]
    assert low.post.per_label("smoothing", LABELS) == [2.0, 0.0]
    assert low.total_false_alarms is None


def test_points_without_one_of_normal_sensitivity_are_refused():
    with pytest.raises(ValueError, match="must include one of normal sensitivity"):
        choose_point([point("low", 1.0, 0.9)], LABELS, sensitivity="high", settle=1.0)


def test_tuned_points_are_taken_for_their_sensitivity_and_the_nearest_settling():
    described = info(
        point("low", 10.0, 0.8, Cat=0.5, Dog=1.0),
        point("normal", 1.0, 0.6),
        point("high", 10.0, 0.2),
    )
    assert onsets(described.operating_point(settle=1.5)) == [0.6, 0.6]
    assert onsets(described.operating_point(settle=8.0)) == [0.5, 0.5]
    assert onsets(described.operating_point()) == [0.5, 0.5]
    low = described.operating_point(sensitivity="low", settle=1.0)
    assert onsets(low) == [0.8, 0.8]
    assert low.total_false_alarms == 1.5


def test_thresholds_of_0_and_1_stay():
    post = with_odds(PostConfig(1.0, {"Dog": 0.0}), LABELS, 2.0)
    assert post.per_label("onset_threshold", LABELS) == [1.0, 1.0]
    assert post.per_label("offset_threshold", LABELS) == [1.0, 0.0]


def test_points_come_back_from_json():
    described = info(point("low", 10.0, {"Dog": 0.75}, Dog=0.25))
    text = json.dumps(described.to_dict())
    again = ModelInfo.from_dict(json.loads(text))
    assert again.operating_points == described.operating_points
    older = json.loads(text)
    del older["operating_points"]
    assert ModelInfo.from_dict(older).operating_points == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (
            {"sensitivity": "extreme"},
            "sensitivity='extreme' must be one of low, normal",
        ),
        ({"settle": "10"}, "settle='10' must be a number"),
        ({"settle": float("nan")}, "settle=nan must be a number"),
        ({"post": []}, "post and false_alarms of an operating point must be objects"),
        ({"post": {"onset": 1}}, "'onset' is not a setting of PostConfig"),
        ({"post": {"onset_threshold": {"Cow": 0.5}}}, "unknown label 'Cow'"),
        ({"false_alarms": {"Cow": 1.0}}, "false_alarms names the unknown label 'Cow'"),
        ({"false_alarms": {"Dog": -1}}, "Dog=-1 must be a number, at least 0"),
        ({"more": 1}, "an operating point must have sensitivity, settle, post"),
    ],
)
def test_a_strange_point_is_refused_by_name(change, word):
    described = info(point("low", 10.0, 0.75)).to_dict()
    described["operating_points"][0] |= change
    with pytest.raises(ValueError, match=word.replace("[", r"\[")):
        ModelInfo.from_dict(described)


@pytest.mark.parametrize("points", [[1], [{}] * 101, {"low": {}}])
def test_points_of_another_kind_are_refused(points):
    described = info().to_dict() | {"operating_points": points}
    with pytest.raises(ValueError, match=r"operating.points"):
        ModelInfo.from_dict(described)


def test_an_unknown_sensitivity_names_the_option():
    with pytest.raises(ValueError, match="--sensitivity must be one of low, normal"):
        info().operating_point(sensitivity="max")
