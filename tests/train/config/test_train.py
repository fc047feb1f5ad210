"""The settings of a run: presets, what goes over them, and what is refused."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.config import FrontendConfig
from train.config.mixing import MixingConfig
from train.config.network import NetworkConfig
from train.config.preset import PRESETS, load_preset, preset_names
from train.config.train import SCALINGS, TrainConfig
from train.datasets import scaling


def test_the_learning_rate_rises_and_falls():
    config = TrainConfig(learning_rate=1.0, warmup=0.1)
    rates = [config.rate_at(progress) for progress in (0, 0.05, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.001, 0.5, 1.0, 0.505, 0.01])


REPORT = {
    "system": "resnet",
    "scaling": "triple",
    "learning_rate": 1e-3,
    "constant_rate": False,
    "weight_decay": 0.01,
    "warmup": 0.03,
    "clip_norm": 5.0,
    "batch_size": 16,
    "unlabelled": 0,
    "ema_decay": 0.999,
    "ema_tail": 0.1,
    "evaluate_average": True,
    "target_rounding": "nearest",
    "held_out": 0.0,
    "precision": "fp32",
    "steps": 20_000,
    "minutes": None,
    "validations": 20,
}
BASELINE = REPORT | {
    "system": "crnn",
    "scaling": "standardize",
    "constant_rate": True,
    "weight_decay": 0,
    "clip_norm": math.inf,
    "batch_size": 24,
    "unlabelled": 12,
    "ema_tail": 1.0,
    "evaluate_average": False,
    "target_rounding": "down",
    "held_out": 0.2,
    "ramp": 0.5,
    "steps": 21_000,
    "validations": 100,
}
REPORTS_NETWORK = {
    "width": 64,
    "stem_pools": 1,
    "multiples": (1, 2, 4, 8),
    "strides": ((1, 1), (1, 1), (2, 2), (2, 2)),
    "self_mask": True,
    "squeeze_excite": True,
    "views": False,
    "band_bias": False,
    "context": (),
    "dropout": 0.0,
    "yamnet": 0,
    "yamnet_alone": 0.0,
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nec_alpha_0.1", REPORT | {"alpha": 0.1}),
        ("nec_alpha_0.01", REPORT | {"alpha": 0.01}),
        ("baseline_crnn", BASELINE),
    ],
)
def test_the_rows_of_table_1_are_trained_as_the_decisions_say(name, expected):
    settings = load_preset(name).to_dict()
    assert {key: settings[key] for key in expected} == expected
    assert settings["network"] == REPORTS_NETWORK  # of the baseline, the width is used
    frontend = FrontendConfig()
    if name == "baseline_crnn":
        frontend = replace(frontend, hop_length=511, n_mels=64, segment_frames=864)
        # An epoch ends with the shortest set: four fifths of 1578 weak clips, 6 at a time.
        assert settings["steps"] == 100 * (round(0.8 * 1578) // 6)
    assert settings["frontend"] == frontend.to_dict()


def test_every_preset_loads_and_says_why():
    for name in preset_names():
        assert isinstance(load_preset(name), TrainConfig)
        for line in (PRESETS / f"{name}.toml").read_text().splitlines():
            setting = line and not line.startswith("[")
            assert not setting or "#" in line, f"{name}: {line!r} gives no reason"


def test_presets_take_changes():
    config = load_preset("small", steps=7, seed=None)
    assert (config.network.width, config.steps, config.seed) == (16, 7, 0)
    assert config.minutes is None
    assert load_preset("small", minutes=5.0).minutes == 5.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must"),
        ({"precision": "int4"}, "precision=int4 must be one of fp32, bf16, fp16"),
        ({"alpha": -1.0}, "alpha=-1.0 must"),
        ({"ema_decay": 1.0}, "ema_decay=1.0 must"),
        ({"minutes": 0.0}, "minutes=0.0 must"),
        ({"network": NetworkConfig(views=True)}, "scaling=triple must be relative for"),
        (
            {"frontend": FrontendConfig(subsampling=4)},
            "subsampling=4 must be 8, by which",
        ),
        (
            {"frontend": FrontendConfig(n_mels=7)},
            "n_mels=7 must be at least 8, by which",
        ),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**arguments)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["network.yamnet=-1"],
            (
                "--set network.yamnet must be 0, or at least 1 with views=true and context, "
                "not -1"
            ),
        ),
        (
            ["network.yamnet=8", "network.context=[]"],
            (
                "--set network.yamnet must be 0, or at least 1 with views=true and context, "
                "not 8"
            ),
        ),
        (
            ["network.views=false"],
            "yamnet=128 must be 0, or at least 1 with views=true and context",
        ),
        (
            ["network.yamnet_alone=1.0"],
            "--set network.yamnet_alone must be from 0 to below 1, not 1.0",
        ),
        (
            ["network.yamnet_alone=0.1", "network.yamnet=0"],
            (
                "--set network.yamnet_alone must be 0 for yamnet=0, without whose features "
                "nothing would be left, not 0.1"
            ),
        ),
        (
            ["frontend.fmin=126"],
            (
                "--set frontend.fmin must be at most 125 Hz for network.yamnet, whose mel bands "
                "begin there, not 126"
            ),
        ),
        (
            ["frontend.fmax=7499"],
            (
                "--set frontend.fmax must be at least 7500 Hz for network.yamnet, whose mel "
                "bands end there, not 7499"
            ),
        ),
        (
            ["frontend.segment_frames=1032"],
            (
                "--set frontend.segment_frames must be a multiple of 16 for network.yamnet, "
                "which has features as often, not 1032"
            ),
        ),
    ],
)
def test_what_yamnets_features_need_is_named(assignments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_preset("yamnet", assignments)


def test_a_front_end_of_yamnets_band_is_enough_and_without_yamnet_less_is():
    least = ["frontend.fmin=125", "frontend.fmax=7500", "frontend.sample_rate=15000"]
    least += ["frontend.segment_frames=16"]
    assert load_preset("yamnet", least).network.yamnet == 128
    less = ["frontend.fmax=4000", "frontend.segment_frames=1032"]
    without = load_preset(
        "yamnet", [*less, "network.yamnet=0", "network.yamnet_alone=0"]
    )
    assert without.frontend.fmax == 4000


def test_an_unknown_preset_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"preset=huge must be one of .*small"):
        load_preset("huge")


def test_assignments_go_over_a_preset_table_by_table():
    before = load_preset("default")
    config = load_preset(
        "default",
        ["network.self_mask=false", "scenes.gain=[-30, 0]", "alpha=0", "minutes=1"],
    )
    assert config.network.self_mask is False
    assert config.network.width == before.network.width == 32
    assert config.scenes.gain == (-30, 0)
    assert config.scenes.duration == before.scenes.duration == 40.0
    assert (config.alpha, config.minutes) == (0, 1)


def test_a_later_assignment_wins_and_an_option_over_all():
    assignments = ["seed=1", "network.width=8", "seed=2"]
    assert load_preset("small", assignments).seed == 2
    config = load_preset("small", assignments, seed=3, width=24)
    assert (config.seed, config.network.width) == (3, 24)


def test_a_number_of_steps_replaces_a_presets_time_however_it_is_given():
    assert load_preset("small").minutes == 30
    for config in (load_preset("small", ["steps=7"]), load_preset("small", steps=7)):
        assert (config.steps, config.minutes) == (7, None)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("alpha", "--set 'alpha': not KEY=VALUE in TOML"),
        ("alpha=high", "--set 'alpha=high': not KEY=VALUE in TOML"),
        (
            "alhpa=0.1",
            "unknown setting 'alhpa'; did you mean 'alpha'\\? The settings are system, ",
        ),
        ("network.depth=3", "unknown setting 'depth'; did you mean 'width'."),
        ("network=3", "--set network must be a table of settings, not 3"),
        ("network.width=3", "--set network.width must be at least 4, not 3"),
        (
            "network.width=16.0",
            "--set network.width must be a whole number such as 64, not 16.0",
        ),
        (
            "network.self_mask='no'",
            "--set network.self_mask must be true or false, not 'no'",
        ),
        ("network.self_mask=1", "--set network.self_mask must be true or false, not 1"),
        (
            "network.multiples=4",
            "--set network.multiples must be a list such as .*, not 4",
        ),
        (
            "network.multiples=['a']",
            r"--set network.multiples must be a list such as .*, not \['a'\]",
        ),
        (
            "network.multiples=[]",
            r"--set network.multiples must be positive, .*, not \(\)",
        ),
        (
            "network.strides=[[1]]",
            r"--set network.strides must be pairs of .*, not \[\[1\]\]",
        ),
        ("network.strides=[]", r"--set network.strides must be pairs .*, not \[\]"),
        ("network.strides=[[0,1],[1,1]]", "must be pairs of at least 1"),
        ("network.stem_pools=3", "--set network.stem_pools must be 1 or 2, not 3"),
        ("steps=true", "--set steps must be a whole number such as 20000, not True"),
        ("steps=1.5", "--set steps must be a whole number such as 20000, not 1.5"),
        ("minutes='long'", "--set minutes must be a number, not 'long'"),
        ("augment='yes'", "--set augment must be true or false, not 'yes'"),
        ("mixing.gain=3", "--set mixing.gain must be a list such as .*, not 3"),
        (
            "mixing.gain=[0, -40]",
            "--set mixing.gain must be two levels, the lower first, not .*",
        ),
        (
            "mixing.gain=[-40]",
            "--set mixing.gain must be two levels, the lower first, not .*",
        ),
        ("mixing.empty=2", "--set mixing.empty must be from 0 to 1, not 2"),
        (
            "frontend.n_mels='many'",
            "--set frontend.n_mels must be a whole number such as .*, not 'many'",
        ),
        (
            "system='transformer'",
            "--set system must be one of resnet, crnn, not transformer",
        ),
        ("scaling='none'", "--set scaling must be one of triple, .*, not none"),
        ("ema_tail=0.0", "--set ema_tail must be above 0 and at most 1, not 0.0"),
        ("alpha=nan", "--set alpha must be at least 0, not nan"),
        ("unlabelled=4", "--set unlabelled must be 0 for system=resnet, .*, not 4"),
        (
            "unlabelled=15",
            "--set unlabelled must leave two clips of batch_size=16, not 15",
        ),
    ],
)
def test_a_bad_assignment_is_named(assignment, message):
    with pytest.raises(ValueError, match=message):
        load_preset("nec_alpha_0.1", [assignment])


CONFIGS = st.builds(
    TrainConfig,
    system=st.sampled_from(["resnet", "crnn"]),
    network=st.builds(
        NetworkConfig,
        width=st.integers(8, 64),
        self_mask=st.booleans(),
        squeeze_excite=st.booleans(),
    ),
    mixing=st.builds(
        MixingConfig, n_variants=st.integers(0, 9), gain=st.just((-12.5, 0.0))
    ),
    alpha=st.floats(0, 10),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    minutes=st.none() | st.floats(0.1, 1000),
    steps=st.integers(1, 10**6),
    augment=st.booleans(),
)


@given(CONFIGS)
def test_settings_survive_json(config):
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(CONFIGS, st.floats(0, 1))
def test_the_rate_is_never_above_the_highest_nor_below_a_thousandth(config, progress):
    rate = config.rate_at(progress)
    assert 0.000999 * config.learning_rate <= rate <= config.learning_rate


def test_the_scalings_named_in_the_settings_are_those_there_are():
    assert tuple(scaling.SCALINGS) == SCALINGS


@pytest.mark.parametrize(
    "line",
    [
        "alph\xad" * 100 + "a=",
        "x" * 4000 + "=1",
        "alpha='" + "y" * 4000 + "'",
        "precision='" + "q " * 3000 + "'",
        "steps=-" + "9" * 4000,
        "network=" + "'z'" * 99,
    ],
    ids=["damaged", "name", "number", "choice", "digits", "table"],
)
def test_a_message_does_not_repeat_a_setting_of_any_length(line):
    with pytest.raises(ValueError, match="--set") as refused:
        load_preset("default", [line])
    assert len(str(refused.value)) < 1000
