"""What a model file says of recall: read strictly, interpolated, chosen by settling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.inference.model_file import ModelFile, ModelInfo, find_model
from streamsed.inference.thresholds.recall_curves import (
    MAX_CURVES,
    MAX_THRESHOLDS,
    RecallCurves,
    nearest_curves,
)

LABELS = ("Cat", "Dog")


def curves(settle=10.0, **recall):
    recall = recall or {"Cat": (1.0, 0.75, 0.0), "Dog": (0.5, 0.5, 0.5)}
    return RecallCurves(settle, (0.2, 0.5, 0.9), recall, dict.fromkeys(recall, 40))


def described(*recall_curves):
    info = ModelInfo(
        name="some",
        labels=LABELS,
        frontend=FrontendConfig(),
        stream=StreamConfig(),
        post=PostConfig(),
        recall_curves=recall_curves,
    )
    return json.loads(json.dumps(info.to_dict()))


def test_curves_come_back_from_a_description_and_older_ones_have_none():
    both = (curves(1.0), curves(10.0))
    description = described(*both)
    assert ModelInfo.from_dict(description).recall_curves == both
    del description["recall_curves"]
    assert ModelInfo.from_dict(description).recall_curves == ()


def test_between_thresholds_the_share_is_interpolated_and_beyond_them_the_last():
    found = [curves().recall_at("Cat", t) for t in (0.0, 0.2, 0.35, 0.5, 0.7, 1.0)]
    assert found == pytest.approx([1.0, 1.0, 0.875, 0.75, 0.375, 0.0])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_a_higher_threshold_never_finds_more(thresholds):
    low, high = sorted(thresholds)
    assert curves().recall_at("Cat", high) <= curves().recall_at("Cat", low)


def test_what_was_not_measured_is_unknown():
    nothing = RecallCurves(1.0, (0.2, 0.5), {"Cat": (0.0, 0.0)}, {"Cat": 0})
    assert nothing.recall_at("Cat", 0.5) is None
    assert nothing.recall_at("Dog", 0.5) is None


def test_the_nearest_settling_is_taken_and_of_two_the_later():
    both = (curves(1.0), curves(10.0))
    assert [nearest_curves(both, settle=s).settle for s in (0.5, 5.5, 9)] == [1, 10, 10]
    assert nearest_curves((), settle=1.0) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settle": "10"}, "settle of recall curves must be a number"),
        ({"settle": True}, "settle of recall curves must be a number"),
        ({"settle": 10**400}, "settle of recall curves must be a number"),
        ({"thresholds": {}}, "thresholds of recall curves must be a list"),
        ({"thresholds": [0.5]}, "thresholds of recall curves must be 2 to 200"),
        ({"thresholds": [0.2, 0.2, 0.9]}, "thresholds of recall curves must be 2 to"),
        ({"thresholds": [0.2, 0.5, 1.1]}, "thresholds of recall curves must be 2 to"),
        (
            {"thresholds": [i / 300 for i in range(MAX_THRESHOLDS + 1)]},
            "thresholds of recall curves must be 2 to 200",
        ),
        ({"recall": []}, "recall of recall curves must be given by label"),
        ({"recall": {"Cat": 0.5}}, "recall of recall curves must be lists"),
        ({"recall": {"Cat": [1, 1, 1]}}, "n_events of recall curves must be given for"),
        (
            {"recall": {"Cat": [1.0, 0.5, 0.6], "Dog": [1, 1, 1]}},
            "recall of 'Cat' of recall curves must be a share from 0 to 1 for each",
        ),
        (
            {"recall": {"Cat": [1.0, 0.5], "Dog": [1, 1, 1]}},
            "recall of 'Cat' of recall curves must be a share from 0 to 1 for each",
        ),
        (
            {"recall": {"Cat": ["1", 0, 0], "Dog": [1, 1, 1]}},
            "recall of 'Cat' of recall curves must be a share from 0 to 1 for each",
        ),
        ({"n_events": {"Cat": 1, "Dog": 1.5}}, "n_events of 'Dog' of recall curves"),
        ({"n_events": {"Cat": 1, "Dog": -1}}, "n_events of 'Dog' of recall curves"),
        ({"more": 1}, "recall curves must have settle, thresholds, recall, n_events"),
    ],
)
def test_strange_curves_are_refused_by_name(change, words):
    description = described(curves())
    description["recall_curves"][0] |= change
    with pytest.raises(ValueError, match=words):
        ModelInfo.from_dict(description)


def test_curves_of_a_label_that_the_model_lacks_are_refused():
    description = described(curves())
    row = description["recall_curves"][0]
    row["recall"] = {"Cow\n": row["recall"]["Cat"]}
    row["n_events"] = {"Cow\n": 3}
    with pytest.raises(ValueError, match=r"recall names the unknown label 'Cow\\n'"):
        ModelInfo.from_dict(description)


@pytest.mark.parametrize("records", [{}, "much", [1], [{}] * (MAX_CURVES + 1)])
def test_records_of_another_kind_are_refused(records):
    with pytest.raises(ValueError, match="recall_curves must be"):
        ModelInfo.from_dict(described() | {"recall_curves": records})


def test_the_shipped_model_says_for_every_label_what_a_higher_threshold_costs():
    info = ModelFile.open(find_model("default")).info
    shipped = nearest_curves(info.recall_curves, settle=info.stream.settled)
    for label in info.labels:
        assert shipped.n_events[label] >= 30
        assert shipped.recall_at(label, 0.2) > shipped.recall_at(label, 0.98)
