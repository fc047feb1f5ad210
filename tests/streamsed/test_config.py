import json
import math

import pytest

from streamsed.config import FrontendConfig, PostConfig, StreamConfig

LABELS = ["Cat", "Dog", "Speech"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 0}, "sample_rate=0 must be from 1 to 10000000"),
        ({"n_fft": 2000}, "n_fft=2000 must be a power of two from 64 to 65536"),
        ({"n_fft": 32, "win_length": 32}, "n_fft=32 must be a power of two"),
        ({"n_fft": 131072}, "n_fft=131072 must be a power of two"),
        ({"win_length": 4096}, "win_length=4096 must be from 1 to n_fft=2048"),
        ({"win_length": 0}, "win_length=0 must be from 1 to n_fft=2048"),
        ({"hop_length": 0}, "hop_length=0 must be from 1 to n_fft=2048"),
        ({"hop_length": 2049}, "hop_length=2049 must be from 1 to n_fft=2048"),
        ({"n_mels": 0}, "n_mels=0 must be from 1 to 4096"),
        ({"fmin": -1.0}, "fmin=-1.0 must be at least 0"),
        ({"fmin": 100.0, "fmax": 100.0}, "fmax=100.0 must be above fmin=100.0"),
        ({"fmax": 22051.0}, "fmax=22051.0 must be .* half of sample_rate=44100"),
        ({"fmax": math.nan}, "fmax=nan must be above"),
        ({"amin": 0.0}, "amin=0.0 must be from 1.2e-38"),
        ({"sample_rate": 2**70}, "sample_rate=1180591620717411303424 must be"),
        ({"n_mels": 4097}, "n_mels=4097 must be from 1 to 4096"),
        ({"amin": 1e-45}, "amin=1e-45 must be from 1.2e-38"),
        ({"amin": math.inf}, "amin=inf must be from 1.2e-38"),
        ({"segment_frames": 2**40}, "segment_frames=1099511627776 must be"),
        ({"segment_frames": 2**17 + 8}, "at most 16777216 / n_mels=128"),
        ({"top_db": 0.0}, "top_db=0.0 must be positive"),
        ({"top_db": math.nan}, "top_db=nan must be positive"),
        ({"subsampling": 0}, "subsampling=0 must be positive"),
        ({"segment_frames": 0}, "segment_frames=0 must be a positive multiple"),
        ({"segment_frames": 1020}, "segment_frames=1020 must be .* subsampling=8"),
    ],
)
def test_a_frontend_setting_out_of_range_is_named_with_its_rule(settings, message):
    with pytest.raises(ValueError, match=message):
        FrontendConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0.0}, "step=0.0 must be positive"),
        ({"step": math.nan}, "step=nan must be positive"),
        ({"step": math.inf}, "step=inf must be positive"),
        ({"step": 2.0, "latency": 1.0}, "latency=1.0 must be at least step=2.0"),
        ({"latency": math.inf}, "latency=inf must be at least step=5.0"),
        ({"latency": math.nan}, "latency=nan must be at least step=5.0"),
    ],
)
def test_a_stream_setting_out_of_range_is_named_with_its_rule(settings, message):
    with pytest.raises(ValueError, match=message):
        StreamConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"onset_threshold": 1.01}, "onset_threshold=1.01 must be from 0 to 1"),
        ({"onset_threshold": math.nan}, "onset_threshold=nan must be from 0 to 1"),
        ({"onset_threshold": {"Dog": -0.1}}, "onset_threshold=-0.1 must be from 0"),
        ({"offset_threshold": 2.0}, "offset_threshold=2.0 must be from 0 to 1"),
        ({"min_gap": -0.1}, "min_gap=-0.1 must be at least 0"),
        ({"min_duration": {"Dog": math.inf}}, "min_duration=inf must be at least 0"),
    ],
)
def test_a_post_setting_out_of_range_is_named_with_its_rule(settings, message):
    with pytest.raises(ValueError, match=message):
        PostConfig(**settings)


@pytest.mark.parametrize("config", [FrontendConfig, StreamConfig, PostConfig])
def test_a_misspelt_setting_is_an_error_that_lists_the_settings(config):
    settings = config().to_dict()
    with pytest.raises(
        ValueError, match=f"'hop' is not a setting of {config.__name__}"
    ):
        config.from_dict(settings | {"hop": 1})
    with pytest.raises(ValueError, match=", ".join(settings)):
        config.from_dict({"hop": 1})


@pytest.mark.parametrize(
    "config",
    [
        FrontendConfig(sample_rate=16000, fmax=8000.0, n_fft=512, win_length=400),
        StreamConfig(step=0.5, latency=1.0),
        PostConfig({"Dog": 0.25}, {"Dog": 0.125}, 0.0, {"Cat": 1.0}),
    ],
)
def test_settings_survive_json(config):
    text = json.dumps(config.to_dict())
    assert type(config).from_dict(json.loads(text)) == config


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        StreamConfig().step = 1.0


def test_the_default_grid_is_the_reports():
    frontend = FrontendConfig()
    assert frontend.sample_rate == 44100
    assert (frontend.n_fft, frontend.win_length, frontend.hop_length) == (
        2048,
        2048,
        431,
    )
    assert (frontend.segment_frames, frontend.n_mels) == (1024, 128)
    assert frontend.segment_score_frames == 128
    assert frontend.score_frame_length == 8 * 431
    assert frontend.score_frame_duration == 8 * 431 / 44100
    assert frontend.segment_duration == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    ("step", "latency", "frames"),
    [
        (5.0, 10.0, (64, 128)),
        (0.2, 1.0, (3, 13)),
        (1.0, 1.0, (13, 13)),
        (0.001, 0.001, (1, 1)),
    ],
)
def test_seconds_become_whole_score_frames(step, latency, frames):
    assert StreamConfig(step, latency).in_score_frames(FrontendConfig()) == frames


def test_a_latency_above_one_segment_is_refused():
    with pytest.raises(ValueError, match=r"latency=10\.1 must be at most one segment"):
        StreamConfig(5.0, 10.1).in_score_frames(FrontendConfig())


def test_labels_that_a_mapping_leaves_out_keep_the_default():
    post = PostConfig(onset_threshold={"Dog": 0.25}, min_gap={"Cat": 1.0})
    assert post.per_label("onset_threshold", LABELS) == [0.5, 0.25, 0.5]
    assert post.per_label("min_gap", LABELS) == [1.0, 0.2, 0.2]
    assert post.per_label("min_duration", LABELS) == [0.2, 0.2, 0.2]


LOWER = pytest.mark.parametrize("lower", ["rise_threshold", "offset_threshold"])


@LOWER
def test_the_lower_thresholds_are_the_onset_thresholds_unless_given(lower):
    post = PostConfig(onset_threshold={"Dog": 0.25})
    assert post.per_label(lower, LABELS) == [0.5, 0.25, 0.5]
    post = PostConfig(onset_threshold=0.75, **{lower: {"Dog": 0.25}})
    assert post.per_label(lower, LABELS) == [0.75, 0.25, 0.75]


@LOWER
def test_a_lower_threshold_above_the_onset_threshold_names_the_label(lower):
    post = PostConfig(onset_threshold=0.5, **{lower: {"Dog": 0.625}})
    message = f"{lower} of Dog=0.625 must be at most its onset_threshold=0.5"
    with pytest.raises(ValueError, match=message):
        post.per_label(lower, LABELS)


def test_an_unknown_label_is_an_error_that_lists_the_labels():
    message = "onset_threshold: unknown label 'Dgo'; the labels are Cat, Dog"
    with pytest.raises(ValueError, match=message):
        PostConfig(onset_threshold={"Dgo": 0.5}).per_label("onset_threshold", LABELS)
    with pytest.raises(ValueError, match="min_gap: unknown label 'Dgo'"):
        PostConfig().override(LABELS, {"min_gap": {"Dgo": 0.5}})


def test_override_replaces_label_by_label_and_keeps_the_rest():
    own = PostConfig({"Cat": 0.25, "Dog": 0.75}, min_duration=0.5)
    post = own.override(LABELS, {"onset_threshold": {"Dog": 0.625}, "min_gap": 1.0})
    assert post.per_label("onset_threshold", LABELS) == [0.25, 0.625, 0.5]
    assert post.per_label("min_gap", LABELS) == [1.0, 1.0, 1.0]
    assert post.per_label("min_duration", LABELS) == [0.5, 0.5, 0.5]
    assert own.override(LABELS, {}).per_label("min_duration", LABELS) == [0.5] * 3


@LOWER
@pytest.mark.parametrize("onset", [0.25, 0.75])
def test_without_a_lower_threshold_a_new_onset_threshold_is_both(lower, onset):
    post = PostConfig().override(LABELS, {"onset_threshold": onset})
    assert post.per_label("onset_threshold", LABELS) == [onset] * 3
    assert post.per_label(lower, LABELS) == [onset] * 3


@LOWER
def test_a_new_onset_threshold_leaves_a_threshold_below_it(lower):
    own = PostConfig(onset_threshold=0.5, **{lower: {"Dog": 0.375}})
    post = own.override(LABELS, {"onset_threshold": 0.75})
    assert post.per_label(lower, LABELS) == [0.75, 0.375, 0.75]
    post = own.override(LABELS, {"onset_threshold": 0.25})
    assert post.per_label(lower, LABELS) == [0.25, 0.25, 0.25]


@LOWER
def test_override_sets_a_lower_threshold_of_its_own(lower):
    post = PostConfig().override(LABELS, {lower: {"Dog": 0.125}})
    assert post.per_label(lower, LABELS) == [0.5, 0.125, 0.5]
    assert post.per_label("onset_threshold", LABELS) == [0.5, 0.5, 0.5]


def test_override_refuses_a_misspelt_setting():
    with pytest.raises(ValueError, match="'min_gapp' is not a setting of PostConfig"):
        PostConfig().override(LABELS, {"min_gapp": 1.0})


def test_override_refuses_a_value_out_of_range():
    with pytest.raises(ValueError, match=r"onset_threshold=1\.5 must be from 0 to 1"):
        PostConfig().override(LABELS, {"onset_threshold": {"Dog": 1.5}})


@pytest.mark.parametrize("name", ["sample_rate", "hop_length", "fmin"])
def test_a_setting_of_the_front_end_that_is_no_number_is_named(name):
    with pytest.raises(ValueError, match=f"{name}='44100' must be a "):
        FrontendConfig(**{name: "44100"})


def test_a_fraction_of_a_sample_is_refused():
    with pytest.raises(ValueError, match=r"hop_length=431\.5 must be a whole number"):
        FrontendConfig(hop_length=431.5)


def test_a_latency_of_0_is_named_even_where_the_step_follows_it():
    with pytest.raises(ValueError, match="latency=0 must be positive"):
        StreamConfig(step=0, latency=0)
