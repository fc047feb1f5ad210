"""What soundscapes are made of: cuts, beds and distractors, and mixtures built from them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsed.events import Event
from train.config.mixing import EVALUATION_MIXING, MixingConfig
from train.mixing.mixer import Mixer
from train.mixing.palette import CUT_FADE, Palette
from train.mixing.signals import (
    add_at,
    at_level,
    chords,
    faded,
    loop,
    merge_regions,
    rms,
)
from train.mixing.soundbank import Clip, Soundbank, active_regions

RATE = 44100
SEEDS = st.integers(0, 2**32)


def ramp(n):
    """Samples that equal their position: 1, 2, 3 ..."""
    return np.arange(1, n + 1, dtype=np.float32)


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(0)
    noise = [0.1 * rng.standard_normal(n * RATE // 4) for n in (2, 5, 13, 48)]
    bark, hum, room, street = (each.astype(np.float32) for each in noise)
    return Soundbank(
        {
            "Dog": (Clip(bark, ((2000, 9000), (12000, 20000))),),
            "Hum": (Clip(hum, ((0, hum.size),)),),
        },
        {"room": (Clip(room, ((0, room.size),)),), "road": (Clip(street, ((0, 9),)),)},
        RATE,
    )


@given(seed=SEEDS, length=st.integers(1, 40000))
def test_a_cut_has_its_length_and_is_a_stretch_of_what_sounds(seed, length):
    clip = Clip(ramp(30000), ((1000, 9000), (12000, 20000)))
    bank = Soundbank({"Dog": (clip,)}, {}, RATE)
    palette = Palette(bank, EVALUATION_MIXING)
    piece = palette.cut(np.random.default_rng(seed), clip, length)
    assert piece.shape == (length,)
    assert piece.dtype == np.float32
    edge = round(CUT_FADE * RATE)
    middle = piece[edge : length - edge]
    if length <= clip.active.size and middle.size:
        first = int(np.searchsorted(clip.active, middle[0]))
        np.testing.assert_array_equal(middle, clip.active[first : first + middle.size])
    assert clip.samples[0] == 1  # the bank's own samples are as they were


@settings(max_examples=25)
@given(seed=SEEDS, length=st.integers(2000, 60000))
def test_a_bed_has_its_length_and_rms_1(bank, seed, length):
    bed = Palette(bank, MixingConfig()).bed(np.random.default_rng(seed), length)
    assert bed.shape == (length,)
    assert rms(bed) == pytest.approx(1.0, abs=1e-3)


@given(seed=SEEDS, longest=st.integers(2000, 12 * RATE))
@settings(max_examples=30)
def test_a_distractor_fits_and_is_up_to_20_db_over_the_bed(bank, seed, longest):
    config = MixingConfig(tonal=0.5)
    stem = Palette(bank, config).distractor(np.random.default_rng(seed), longest)
    assert 0 < stem.samples.size <= longest
    assert 0.999 <= rms(stem.samples) <= 10.01
    assert stem.samples[0] == stem.samples[-1] == 0.0
    assert (stem.regions, stem.n_repeats) == ((), 1)


@given(seed=SEEDS)
@settings(max_examples=30)
def test_a_stem_is_at_an_events_level_where_it_is_active(bank, seed):
    config = MixingConfig(event_to_background=(6.0, 20.0))
    palette = Palette(bank, config)
    label, stem = palette.stem(np.random.default_rng(seed))
    active = np.concatenate([stem.samples[a:b] for a, b in stem.regions])
    assert 10 ** (6 / 20) * 0.99 <= rms(active) <= 10 ** (20 / 20) * 1.01
    assert 1 <= stem.n_repeats <= (1 if label in palette.long_labels else 4)


@given(seed=SEEDS, lengths=st.lists(st.integers(600, 3 * RATE), max_size=4))
@settings(max_examples=30)
def test_stems_of_one_label_have_their_lengths_and_about_one_level(bank, seed, lengths):
    config = MixingConfig(event_to_background=(6.0, 30.0))
    stems = Palette(bank, config).stems(np.random.default_rng(seed), "Hum", lengths)
    assert [stem.samples.size for stem in stems] == lengths
    assert [stem.regions for stem in stems] == [((0, length),) for length in lengths]
    levels = [20 * np.log10(rms(stem.samples)) for stem in stems]
    assert all(5.9 <= level <= 30.1 for level in levels)
    assert max(levels, default=0) - min(levels, default=0) <= 6.1


def test_without_backgrounds_only_chords_distract():
    bank = Soundbank({"Dog": (Clip(ramp(99), ((0, 99),)),)}, {}, RATE)
    rng = np.random.default_rng(0)
    assert Palette(bank, MixingConfig(tonal=0.0)).distractor(rng, 9999) is None
    assert Palette(bank, MixingConfig(tonal=1.0)).distractor(rng, 9999) is not None


def test_every_kind_of_background_is_as_likely(bank):
    palette = Palette(bank, MixingConfig(n_variants=0))
    sizes = [palette.background(np.random.default_rng(i)).size for i in range(400)]
    assert 150 < sizes.count(13 * RATE // 4) < 250


def test_variants_do_not_depend_on_what_was_drawn_before(bank):
    config = MixingConfig(n_variants=3)
    fresh, warm = Palette(bank, config), Palette(bank, config)
    for seed in range(30):
        warm.clip(np.random.default_rng(seed), "Hum")
    for seed in range(8):
        first = fresh.clip(np.random.default_rng(seed), "Dog", 5)
        again = warm.clip(np.random.default_rng(seed), "Dog", 5)
        np.testing.assert_array_equal(first.samples, again.samples)
        assert first.regions == again.regions


@given(SEEDS, st.integers(1, 5000), st.integers(1, 20000))
def test_a_loop_repeats_with_one_period(seed, size, length):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(size).astype(np.float32)
    looped = loop(samples, length, rng, sample_rate=RATE)
    assert looped.shape == (length,)
    period = size - min(size // 4, RATE // 10)
    np.testing.assert_array_equal(
        looped[period:], looped[:-period] if length > period else []
    )


@given(st.integers(-50, 50), st.integers(0, 40))
def test_adding_at_a_place_equals_adding_to_a_longer_mixture(start, size):
    short, long = np.ones(30, np.float32), np.zeros(200, np.float32)
    add_at(short, ramp(size), start)
    long[100:130] = 1
    long[100 + start : 100 + start + size] += ramp(size)
    np.testing.assert_array_equal(short, long[100:130])


REGIONS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 60)).map(lambda r: (r[0], sum(r))),
    max_size=8,
)


@given(REGIONS, st.integers(0, 40), st.integers(1, 50))
def test_merged_regions_cover_all_and_are_apart_and_long_enough(regions, gap, length):
    merged = merge_regions(regions, gap, length)
    assert merged == sorted(merged)
    for start, end in regions:
        assert any(a <= start and end <= b for a, b in merged)
    for (_, before), (after, _) in itertools.pairwise(merged):
        assert after - before >= gap
    assert all(end - start >= length for start, end in merged)
    assert merge_regions(merged, gap, length) == merged


@given(SEEDS, st.integers(1, 3 * RATE))
@settings(max_examples=25)
def test_chords_and_fades_keep_to_their_length(seed, length):
    notes = chords(length, np.random.default_rng(seed), sample_rate=RATE)
    assert notes.shape == (length,)
    assert np.isfinite(notes).all()
    softened = faded(np.ones(length, np.float32), 100)
    assert softened[0] == 0.0
    assert np.all(np.diff(softened[: min(length, 100) // 2]) >= 0)


def test_silence_stays_silence_at_any_level():
    assert not at_level(np.zeros(9, np.float32), 1.0).any()
    assert rms(np.zeros(0, np.float32)) == 0.0


LAYOUTS = st.lists(
    st.tuples(
        st.sampled_from(["Dog", "Hum"]), st.floats(0, 11), st.floats(0.01, 12)
    ).map(lambda row: Event(row[0], row[1], row[1] + row[2], 1.0)),
    max_size=6,
)


@given(layout=LAYOUTS, seed=SEEDS)
@settings(max_examples=25)
def test_a_rebuilt_clip_sounds_exactly_where_its_list_says(bank, layout, seed):
    mixer = Mixer(bank, EVALUATION_MIXING)
    soundscape = mixer.rebuild(layout, np.random.default_rng(seed))
    for label in ("Dog", "Hum"):
        wanted, got = np.zeros(441000, bool), np.zeros(441000, bool)
        for mask, events in ((wanted, layout), (got, soundscape.events)):
            for event in events:
                if event.label == label:
                    mask[round(event.onset * RATE) : round(event.offset * RATE)] = True
        np.testing.assert_array_equal(got, wanted)
    assert np.abs(soundscape.samples).max() <= 1.0


def test_a_sound_shorter_than_an_event_may_be_counts_where_it_is_whole(bank):
    mixer = Mixer(bank, EVALUATION_MIXING)
    (event,) = mixer.to_events([("Dog", (1000, 1400))], 441000)
    assert (round(event.onset * RATE), round(event.duration, 3)) == (1000, 0.25)
    assert mixer.to_events([("Dog", (-1000, 1400))], 441000) == []
    assert mixer.to_events([("Dog", (440000, 443000))], 441000) == []
    assert mixer.to_events([("Dog", (-400, -1))], 441000) == []
    assert len(mixer.to_events([("Dog", (440900, 441000))], 441000)) == 1


def test_regions_of_a_variant_are_where_it_sounds(bank):
    palette = Palette(bank, MixingConfig(n_variants=4))
    for seed in range(12):
        clip = palette.clip(np.random.default_rng(seed), "Hum")
        assert 0 <= clip.regions[0][0] < clip.regions[-1][1] <= clip.samples.size
        found = active_regions(clip.samples, RATE)
        assert clip.regions == found or clip is bank.foreground["Hum"][0]
