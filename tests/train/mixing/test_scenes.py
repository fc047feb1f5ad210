"""Scenes: what they say sounds does sound, and where; no short sound becomes a bed."""

import numpy as np
import pytest

from streamsed.events import Event
from train.config.scenes import SceneConfig
from train.mixing.scenes import SceneMixer, source_chances
from train.mixing.soundbank import Clip, Soundbank
from train.mixing.variants import Variants

RATE = 8000
PLAIN = {"fresh": 0.0, "tonal": 0.0, "clipped": 0.0, "overlap": 0.0}


def clip(frequency, duration, source=""):
    time = np.arange(int(duration * RATE)) / RATE
    samples = np.sin(2 * np.pi * frequency * time).astype(np.float32)
    return Clip(samples, ((0, samples.size),), source)


def bank():
    return Soundbank(
        {"Beep": (clip(1000, 0.5),), "Hum": (clip(300, 4.0),)},
        {"fan": (clip(120, 3.0),), "knock": (clip(2000, 0.3),)},
        RATE,
    )


FREQUENCIES = {"Beep": 1000, "Hum": 300, "fan": 120, "knock": 2000}


def activity(samples, frequency):
    """Power at a frequency, every 25 ms."""
    time = np.arange(samples.size) / RATE
    turned = samples * np.exp(-2j * np.pi * frequency * time)
    return (
        np.abs(turned[: samples.size // 200 * 200].reshape(-1, 200).mean(axis=1)) ** 2
    )


def mix(seed, **settings):
    config = SceneConfig(duration=20.0, **{**PLAIN, **settings})
    return SceneMixer(bank(), config).mix(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(6))
def test_events_and_other_sounds_are_where_the_scene_says(seed):
    scene = mix(seed, silent=1.0, empty=0.0, steady=0.0, level=(20.0, 20.0))
    said = [*scene.events, *scene.others]
    assert said
    for label in {event.label for event in said}:
        there = activity(scene.samples, FREQUENCIES[label])
        middle = (np.arange(there.size) + 0.5) * 0.025
        spans = [(e.onset, e.offset) for e in said if e.label == label]
        inside = sum((middle > a + 0.03) & (middle < b - 0.03) for a, b in spans) > 0
        outside = sum((middle > a - 0.03) & (middle < b + 0.03) for a, b in spans) == 0
        assert np.median(there[inside]) > 100 * np.median(there[outside])


def test_a_scene_without_labels_has_none():
    scenes = [mix(seed, empty=1.0) for seed in range(8)]
    assert not any(scene.events for scene in scenes)
    assert any(scene.others for scene in scenes)


def test_a_scene_over_digital_silence_is_silent_before_its_first_sound():
    scene = mix(3, silent=1.0, empty=0.0, steady=0.0, pause=(3.0, 4.0))
    first = min(event.onset for event in [*scene.events, *scene.others])
    assert first > 0.05
    assert not scene.samples[: round((first - 0.02) * RATE)].any()


def test_only_recordings_that_last_become_beds():
    kinds = {
        event.label
        for seed in range(10)
        for event in mix(seed, silent=0.0, noise=0.0, distractor=0.0).others
    }
    assert kinds == {"fan"}


def test_a_lasting_sound_fills_most_of_a_steady_scene():
    scenes = [mix(seed, steady=1.0, empty=0.0) for seed in range(8)]
    longest = [max((e.duration for e in each.events), default=0.0) for each in scenes]
    assert np.median(longest) > 6.0  # no recording of the bank lasts longer than 4 s
    assert all(
        event.label == "Hum"
        for each in scenes
        for event in each.events
        if event.duration > 6.0
    )


def test_scenes_of_lists_have_the_events_of_the_lists():
    layout = [Event("Beep", 1.0, 2.0, 1.0), Event("Hum", 4.0, 9.0, 1.0)]
    config = SceneConfig(
        duration=20.0, **{**PLAIN, "listed": 1.0, "empty": 0.0, "distractor": 0.0}
    )
    scene = SceneMixer(bank(), config, [layout]).mix(np.random.default_rng(0))
    found = [(e.label, round(e.onset, 3), round(e.offset, 3)) for e in scene.events]
    assert sorted(found) == sorted(
        (each.label, each.onset + shift, each.offset + shift)
        for each in layout
        for shift in (0.0, 10.0)
    )


def test_a_list_with_a_label_that_the_bank_lacks_is_refused_at_once():
    layout = [Event("Beep", 0.0, 1.0, 1.0), Event("Cow", 2.0, 3.0, 1.0)]
    with pytest.raises(
        ValueError, match=r"--blueprint: the bank has no sounds of .*'Cow"
    ):
        SceneMixer(bank(), SceneConfig(duration=20.0), [layout])


def test_every_other_sound_of_the_bank_appears_by_its_name():
    names = {e.label for seed in range(12) for e in mix(seed, distractor=0.8).others}
    assert names == {"fan", "knock"}


def test_a_source_counts_by_the_root_of_its_recordings():
    clips = [clip(500, 0.1, source) for source in ["big"] * 9 + ["small"]]
    chances = source_chances(clips)
    assert chances.sum() == pytest.approx(1.0)
    assert chances[:9].sum() / chances[9] == pytest.approx(3.0)


def test_variants_are_kept_and_bounded_and_used_again():
    config = SceneConfig(duration=10.0, fresh=1.0, n_variants=2)
    variants, original = Variants(config, RATE), clip(500, 0.5)
    rng = np.random.default_rng(0)
    fresh = [variants.draw(rng, original) for _ in range(5)]
    assert all(not np.array_equal(each.samples, original.samples) for each in fresh)
    drawn = Variants(SceneConfig(duration=10.0, fresh=0.0), RATE)
    assert all(drawn.draw(rng, original) is original for _ in range(5))


def test_equal_seeds_give_equal_scenes():
    first, second = mix(5), mix(5)
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.events == second.events


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("duration", -1.0), ("duration", 1e9), ("segments", 0), ("n_variants", 0),
        ("fresh", 1.5), ("level", (3.0, 1.0)), ("pause", (1.0,)),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ValueError, match=setting):
        SceneConfig(**{setting: value})
