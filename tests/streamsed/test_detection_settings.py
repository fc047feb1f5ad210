import pytest

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detection_settings import DetectionSettings
from streamsed.inference.model_file import ModelInfo
from streamsed.inference.thresholds.operating_points import OperatingPoint

LABELS = ("Cat", "Dog", "Speech")
LOW = OperatingPoint("low", 10.0, PostConfig(0.8, min_duration={"Dog": 0.5}), {})
INFO = ModelInfo(
    name="some",
    labels=LABELS,
    frontend=FrontendConfig(),
    stream=StreamConfig(),
    post=PostConfig(0.6),
    operating_points=(LOW,),
)


def values(settings, name):
    return settings.post_for(INFO, settle=10.0).per_label(name, LABELS)


def test_without_settings_the_models_own_are_taken():
    assert values(DetectionSettings(), "onset_threshold") == [0.6] * 3
    assert DetectionSettings().reported(LABELS) == LABELS


def test_what_is_set_lies_over_the_thresholds_of_the_sensitivity():
    settings = DetectionSettings({"onset_threshold": {"Cat": 0.3}}, sensitivity="low")
    assert values(settings, "onset_threshold") == [0.3, 0.8, 0.8]
    assert values(settings, "min_duration") == [0.2, 0.5, 0.2]


@pytest.mark.parametrize("name", ["rise_threshold", "offset_threshold"])
def test_a_lower_threshold_above_the_onset_threshold_is_refused_at_once(name):
    settings = DetectionSettings({name: {"Dog": 0.7}})
    with pytest.raises(ValueError, match=f"{name} of Dog=0.7 must be at most"):
        settings.post_for(INFO, settle=10.0)


def test_to_confirm_is_to_last_longer_than_the_shortest_event():
    settings = DetectionSettings(sensitivity="low", confirm=1.0)
    assert values(settings, "min_duration") == [1.2, 1.5, 1.2]
    assert values(settings, "onset_threshold") == [0.8] * 3


def test_labels_are_chosen_and_left_out():
    assert DetectionSettings(only=["Dog", "Cat"]).reported(LABELS) == ("Cat", "Dog")
    assert DetectionSettings(ignore=["Speech"]).reported(LABELS) == ("Cat", "Dog")
    both = DetectionSettings(only=["Dog", "Cat"], ignore=["Cat"])
    assert both.reported(LABELS) == ("Dog",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"only": ["Dgo"]},
            r"--label: unknown label 'Dgo'; did you mean 'Dog'\? Labels: Cat, Dog, Speech",
        ),
        ({"ignore": ["Dgo"]}, "--ignore: unknown label 'Dgo'; did you mean 'Dog'"),
        ({"ignore": LABELS}, "--ignore leaves no label"),
    ],
)
def test_a_wrong_label_names_the_option(settings, words):
    with pytest.raises(ValueError, match=words):
        DetectionSettings(**settings).reported(LABELS)


def test_labels_are_matched_without_regard_to_case():
    settings = DetectionSettings(only=["dog"], ignore=["CAT"])
    assert settings.reported(LABELS) == ("Dog",)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_confirmation_of_no_length_is_refused(seconds):
    with pytest.raises(ValueError, match=r"--confirm must be at least 0"):
        DetectionSettings(confirm=seconds)
