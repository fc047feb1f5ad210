"""Continuous recordings: what is in them, where, and how loud."""

from itertools import pairwise

import numpy as np
import pytest

from streamsed.events import Event
from train.mixing.continuous import PAUSE, ContinuousMixer
from train.mixing.endless import Backdrop, extend, is_steady
from train.mixing.signals import rms
from train.mixing.soundbank import Clip, Soundbank
from train.mixing.toy_bank import RATE, write_bank

LIST = [Event("Beeping", 2.0, 3.5, 1.0), Event("Humming", 0.0, 8.0, 1.0)]


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=6)
    loaded = Soundbank.load(folder)
    rng = np.random.default_rng(9)
    knock = np.zeros(RATE, np.float32)
    knock[2000:6000] = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 800)
    door = Clip(knock, ((2000, 6000),))
    return Soundbank(loaded.foreground, loaded.background | {"door": (door,)}, RATE)


def draw(bank, sounds=LIST, seed=0, duration=60.0, **settings):
    mixer = ContinuousMixer(bank, sounds, **settings)
    return mixer.mix(np.random.default_rng(seed), duration=duration)


def test_equal_seeds_give_equal_recordings_and_others_give_others(bank):
    one, same, other = draw(bank), draw(bank), draw(bank, seed=1)
    assert np.array_equal(one.samples, same.samples)
    assert (one.events, one.others, one.beds) == (same.events, same.others, same.beds)
    assert one.events != other.events


def test_events_follow_one_another_within_the_pauses(bank):
    recording = draw(bank, duration=200.0)
    events = recording.events
    assert len(events) > 10
    assert recording.samples.size == 200 * RATE
    pauses = [b.onset - a.offset for a, b in pairwise(events)]
    assert min(pauses) >= -1e-9
    assert PAUSE[1] / 2 < max(pauses) <= PAUSE[1]
    assert events[-1].offset <= 200.0


def test_events_have_the_labels_and_lengths_of_the_list(bank):
    lengths = {event.label: event.duration for event in LIST}
    events = draw(bank, duration=200.0).events
    assert {event.label for event in events} == set(lengths)
    for event in events:
        assert event.duration == pytest.approx(lengths[event.label], abs=1e-4)


def test_labels_come_as_often_as_in_the_list_or_evenly(bank):
    crowded = [LIST[0]] * 9 + [Event("Humming", 0.0, 1.5, 1.0)]

    def share(**settings):
        events = draw(bank, crowded, duration=900.0, **settings).events
        return np.mean([event.label == "Beeping" for event in events])

    assert share() > 0.75
    assert 0.35 < share(even_labels=True) < 0.65


def test_without_a_list_events_are_clips_of_every_label(bank):
    events = draw(bank, (), duration=300.0).events
    assert {event.label for event in events} == set(bank.labels)


def test_a_short_sound_at_the_very_end_is_an_event_that_ends_with_the_recording(bank):
    tick = np.ones(RATE // 10, np.float32)  # shorter than the shortest event, 0.25 s
    ticks = Clip(tick, ((0, tick.size),))
    mixer = ContinuousMixer(Soundbank({"Tick": (ticks,)}, bank.background, RATE))
    at_the_end = 0
    for seed in range(100):
        recording = mixer.mix(np.random.default_rng(seed), duration=2.0)
        for event in recording.events:
            assert event.onset >= 0.0
            assert event.offset <= 2.0
            assert event.duration == pytest.approx(0.25)
            at_the_end += event.offset == 2.0
    assert at_the_end > 1


def test_short_events_of_a_list_keep_their_length_up_to_the_end(bank):
    short = [Event("Beeping", 0.0, 0.1, 1.0)]
    events = [e for seed in range(20) for e in draw(bank, short, seed, 20.0).events]
    assert {round(event.duration, 4) for event in events} == {0.1}


def test_other_sounds_lie_between_events(bank):
    recording = draw(bank, duration=300.0)
    assert len(recording.others) > 5
    assert {other.label for other in recording.others} <= set(bank.background)
    for other in recording.others:
        for event in recording.events:
            assert other.offset <= event.onset or event.offset <= other.onset


def test_a_label_that_the_bank_lacks_is_refused(bank):
    with pytest.raises(ValueError, match="no sounds of the label 'Cow'"):
        ContinuousMixer(bank, [Event("Cow", 0.0, 1.0, 1.0)])


def level(samples, event):
    """RMS in dB of the samples in an event's span."""
    first, last = round(event.onset * RATE), round(event.offset * RATE)
    return 20 * np.log10(rms(samples[first:last]))


def test_events_are_six_to_thirty_decibels_over_what_lies_under_them(bank):
    only_hums = [Event("Humming", 0.0, 4.0, 1.0)]  # which sound all the time
    recording = draw(bank, only_hums, duration=120.0)
    for event in recording.events:
        before = Event("", event.onset - 0.3, event.onset, 1.0)
        if before.onset < 0 or any(
            o.offset > before.onset > o.onset for o in recording.others
        ):
            continue
        over = level(recording.samples, event) - level(recording.samples, before)
        assert 4.0 < over < 33.0  # the bed wavers by itself


def test_other_sounds_one_after_another_are_all_there_and_apart(bank):
    mixer = ContinuousMixer(bank)
    recording = mixer.other_sounds(np.random.default_rng(0))
    n = sum(map(len, bank.background.values()))
    assert len(recording.others) == n
    assert recording.events == []
    pauses = [b.onset - a.offset for a, b in pairwise(recording.others)]
    assert min(pauses) >= 2.0
    assert max(pauses) <= 4.0


def test_a_steady_sound_fills_its_minute_and_short_labels_give_none(bank):
    mixer = ContinuousMixer(bank)
    drawn = list(mixer.steady_sounds(np.random.default_rng(0), duration=20.0, n=2))
    assert [r.events[0].label for r in drawn] == [
        "Hissing",
        "Hissing",
        "Humming",
        "Humming",
    ]
    for recording in drawn:
        (event,) = recording.events
        assert (event.onset, event.offset) == (5.0, 25.0)
        assert recording.samples.size == 30 * RATE
        inside = [Event("", t, t + 0.5, 1.0) for t in np.arange(6.0, 24.0, 0.5)]
        loud = [level(recording.samples, each) for each in inside]
        assert max(loud) - min(loud) < 6.0  # no hole where two grains meet


def likeness(sound, seconds):
    """How much of one second comes again at another time, at most: 0 to 1."""
    first = seconds * RATE
    piece = sound[first : first + RATE]
    rest = np.concatenate([sound[: first - RATE], sound[first + 2 * RATE :]])
    n = 1 << (rest.size + piece.size).bit_length()
    products = np.fft.irfft(np.fft.rfft(rest, n) * np.fft.rfft(piece, n).conj(), n)
    return np.abs(products).max() / np.dot(piece, piece)


def test_a_sound_that_is_played_on_does_not_repeat():
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(4 * RATE).astype(np.float32)
    sound = extend([noise], 40 * RATE, rng, sample_rate=RATE)
    assert sound.size == 40 * RATE
    assert likeness(sound, 10) < 0.2
    assert likeness(np.tile(noise, 10), 10) > 0.9  # as a loop does


def largest_jump(samples):
    return np.abs(np.diff(samples)).max()


def test_grains_and_stretches_of_a_background_join_without_a_jump(monkeypatch):
    level = Clip(np.ones(4 * RATE, np.float32), ((0, 4 * RATE),))
    rng = np.random.default_rng(0)
    sound = extend([level.samples], 30 * RATE, rng, sample_rate=RATE)
    assert largest_jump(sound[RATE // 10 :]) < 0.02  # it begins at once
    monkeypatch.setattr("train.mixing.endless.NOISE_BED", 0.0)
    bank = Soundbank({"Cat": (level,)}, {"fan": (level,), "rain": (level,)}, RATE)
    samples, beds = Backdrop(bank).draw(rng, 200 * RATE)
    assert {bed.label for bed in beds} == {"fan", "rain"}
    assert largest_jump(samples[RATE // 10 :]) < 0.02


def test_hums_are_steady_and_beeps_are_not(bank):
    assert all(is_steady(clip, RATE) for clip in bank.foreground["Humming"])
    assert not any(is_steady(clip, RATE) for clip in bank.foreground["Beeping"])
    assert "door" not in Backdrop(bank).beds


def test_a_background_changes_and_its_stretches_join(bank):
    samples, beds = Backdrop(bank).draw(np.random.default_rng(0), 300 * RATE)
    assert beds[0].onset == 0.0
    assert beds[-1].offset == 300.0
    assert all(a.offset == b.onset for a, b in pairwise(beds))
    assert 300 / 90 <= len(beds) <= 300 / 30 + 1
    seconds = [rms(samples[i * RATE : (i + 1) * RATE]) for i in range(300)]
    decibels = 20 * np.log10(seconds)
    assert decibels.min() > -12
    assert decibels.max() < 12
    assert decibels.std() > 0.5


def test_banks_are_joined_label_by_label(bank):
    other = Soundbank(
        {"Cow": bank.foreground["Humming"]}, {"door": bank.background["noise"]}, RATE
    )
    both = bank.joined(other)
    assert both.labels == tuple(sorted((*bank.labels, "Cow")))
    assert both.background["door"] == bank.background["door"] + bank.background["noise"]
    with pytest.raises(ValueError, match="sample_rate=8000 must be that of the other"):
        bank.joined(Soundbank(other.foreground, {}, 8000))
