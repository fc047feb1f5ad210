"""Soundscapes: levels, merging, determinism, and that the truth is true."""

import dataclasses
import itertools

import numpy as np
import pytest
import soundfile

from streamsed.events import Event
from train.config.mixing import EVALUATION_MIXING, MixingConfig
from train.datasets.augment import drop_bands, recolour
from train.datasets.clip_features import score_targets
from train.mixing.mixer import Mixer, Soundscape, isolated_soundscapes
from train.mixing.palette import Palette
from train.mixing.signals import chords, clip_peaks, loop, merge_regions, rms
from train.mixing.soundbank import Clip, Soundbank, active_regions
from train.mixing.soundscape_files import write_soundscapes
from train.mixing.variants import room_response, through_codec, vary

RATE = 44100


def tone(frequency, duration):
    time = np.arange(int(duration * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def noise(duration, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(duration * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bank on disk: a short label, a long one, one kind of background."""
    folder = tmp_path_factory.mktemp("bank")
    sounds = {
        "foreground/Beep/high.wav": tone(3000, 0.6),
        "foreground/Beep/low.wav": tone(1000, 0.9),
        "foreground/Hum/hum.flac": tone(120, 4.0),
        "background/room/noise.wav": noise(3.0),
    }
    for name, samples in sounds.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
    rows = [f"{name},{'validation' if 'low' in name else 'train'}" for name in sounds]
    (folder / "manifest.csv").write_text("path,split\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def bank(folder):
    return Soundbank.load(folder)


def test_the_folders_are_the_labels(bank):
    assert bank.labels == ("Beep", "Hum")
    assert bank.n_clips == 3
    assert list(bank.background) == ["room"]


def test_a_split_keeps_only_its_files(folder):
    assert Soundbank.load(folder, split="validation").labels == ("Beep",)
    assert Soundbank.load(folder, split="train").n_clips == 2


def test_what_is_no_bank_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="foreground/<Label>"):
        Soundbank.load(tmp_path)
    with pytest.raises(
        ValueError, match="no split 'test'; its splits are train, validation"
    ):
        Soundbank.load(folder, split="test")


def test_another_sample_rate_is_resampled(folder):
    bank = Soundbank.load(folder, sample_rate=22050)
    assert sorted(clip.samples.size for clip in bank.foreground["Beep"]) == [
        13230,
        19845,
    ]


def test_regions_are_where_the_energy_is():
    silence = np.zeros(RATE // 2, np.float32)
    samples = np.concatenate([silence, tone(800, 0.5), silence, tone(800, 0.3)])
    regions = active_regions(samples, RATE)
    expected = [(0.5, 1.0), (1.5, 1.8)]
    np.testing.assert_allclose(np.array(regions) / RATE, expected, atol=0.021)


def test_short_gaps_inside_a_sound_are_bridged():
    samples = np.concatenate(
        [tone(800, 0.4), np.zeros(8000, np.float32), tone(800, 0.4)]
    )
    assert active_regions(samples, RATE) == ((0, samples.size),)


def test_digital_silence_has_no_region():
    assert active_regions(np.zeros(1000, np.float32), RATE) == ()


def test_long_labels_are_found_from_their_clips(bank):
    assert Mixer(bank).palette.long_labels == {"Hum"}


def test_equal_seeds_give_equal_soundscapes(bank):
    first = Mixer(bank).mix(np.random.default_rng([1, 2]))
    warmed = Mixer(bank)
    for index in range(5):
        warmed.mix(np.random.default_rng(index))
    again = warmed.mix(np.random.default_rng([1, 2]))
    assert np.array_equal(first.samples, again.samples)
    assert first.events == again.events
    other = warmed.mix(np.random.default_rng([1, 3]))
    assert not np.array_equal(first.samples, other.samples)


def test_soundscapes_are_as_they_say(bank):
    mixer = Mixer(bank)
    for seed in range(40):
        soundscape = mixer.mix(np.random.default_rng(seed))
        assert soundscape.samples.dtype == np.float32
        assert soundscape.samples.shape == (441000,)
        assert np.abs(soundscape.samples).max() <= 1.0
        assert soundscape.events == sorted(soundscape.events)
        for label in bank.labels:
            own = [event for event in soundscape.events if event.label == label]
            for event in own:
                assert 0 <= event.onset < event.offset <= 10
                assert event.duration >= 0.2499
            for before, after in itertools.pairwise(own):
                assert after.onset - before.offset >= 0.1499


@pytest.mark.parametrize("level", [6.0, 20.0])
def test_an_event_is_as_far_above_the_bed_as_asked(bank, level):
    config = MixingConfig(
        n_variants=0, isolated=0, empty=0, short=0, distractor=0, max_events=1,
        event_to_background=(level, level),
    )  # fmt: skip
    mixer = Mixer(bank, config)
    measured = []
    for seed in range(12):
        soundscape = mixer.mix(np.random.default_rng(seed))
        inside = np.zeros(441000, bool)
        for event in soundscape.events:
            inside[round(event.onset * RATE) : round(event.offset * RATE)] = True
        if inside.sum() < RATE // 2 or (~inside).sum() < RATE // 2:
            continue
        bed = rms(soundscape.samples[~inside])
        power = rms(soundscape.samples[inside]) ** 2 - bed**2
        measured.append(10 * np.log10(power / bed**2))
    assert len(measured) >= 5
    assert np.median(measured) == pytest.approx(level, abs=1.0)


def test_onsets_are_where_the_energy_rises(bank):
    config = MixingConfig(n_variants=0, isolated=1.0, max_events=1)
    mixer = Mixer(bank, config)
    for seed in range(10):
        soundscape = mixer.mix(np.random.default_rng(seed))
        audible = np.flatnonzero(np.abs(soundscape.samples) > 1e-4)
        assert soundscape.events[0].onset == pytest.approx(audible[0] / RATE, abs=0.025)
        assert soundscape.events[-1].offset == pytest.approx(
            audible[-1] / RATE, abs=0.025
        )


def test_isolated_sounds_end_in_digital_silence(bank):
    soundscapes = list(isolated_soundscapes(bank))
    assert len(soundscapes) == bank.n_clips
    for soundscape in soundscapes:
        end = round(soundscape.events[-1].offset * RATE)
        assert not soundscape.samples[end + RATE // 50 :].any()


def test_a_clip_that_is_silent_for_long_begins_with_its_sound():
    samples = np.zeros(13 * RATE, np.float32)
    samples[11 * RATE : 12 * RATE] = 0.5
    clip = Clip(samples, active_regions(samples, RATE))
    (soundscape,) = isolated_soundscapes(Soundbank({"Dog": (clip,)}, {}, RATE))
    (event,) = soundscape.events
    assert (event.onset, event.offset) == pytest.approx((0.0, 1.0), abs=0.05)
    assert np.abs(soundscape.samples[:RATE]).mean() > 0.45


def test_a_bank_without_background_gets_noise():
    clip = Clip(tone(500, 0.5), ((0, RATE // 2),))
    bank = Soundbank({"Beep": (clip,)}, {}, RATE)
    soundscape = Mixer(bank, EVALUATION_MIXING).mix(np.random.default_rng(0))
    assert isinstance(soundscape, Soundscape)
    assert np.isfinite(soundscape.samples).all()


@pytest.mark.parametrize(
    ("regions", "merged"),
    [
        ([(0, 10), (14, 30)], [(0, 30)]),
        ([(0, 10), (15, 30)], [(0, 10), (15, 30)]),
        ([(20, 30), (0, 25)], [(0, 30)]),
        ([(0, 2)], [(0, 4)]),
        ([], []),
    ],
)
def test_regions_closer_than_the_gap_are_one(regions, merged):
    assert merge_regions(regions, min_gap=5, min_length=4) == merged


def test_a_looped_sound_has_no_clicks():
    samples = tone(50, 1.0)
    looped = loop(samples, 5 * RATE, np.random.default_rng(0), sample_rate=RATE)
    assert looped.size == 5 * RATE
    largest_step = np.abs(np.diff(looped)).max()
    assert largest_step < 1.6 * np.abs(np.diff(samples)).max()


def test_targets_mark_the_frames_of_events():
    events = [Event("Dog", 0.5, 1.5, 1.0), Event("Cat", 9.99, 10.0, 1.0)]
    target = score_targets(events, ("Cat", "Dog"), 20, 0.5)
    assert np.flatnonzero(target[:, 1]).tolist() == [1, 2]
    assert np.flatnonzero(target[:, 0]).tolist() == [19]


def test_a_variant_is_the_sound_at_another_speed():
    samples = tone(1000, 1.0)
    for seed in range(12):
        varied = vary(samples, np.random.default_rng(seed), RATE)
        assert varied.dtype == np.float32
        spectrum = np.abs(np.fft.rfft(varied[: RATE // 2], 1 << 18))
        peak = spectrum.argmax() * RATE / (1 << 18)
        assert 790 < peak < 1265
        # At least as long as the tone lasts at its new speed; a room makes it longer.
        assert varied.size > 0.98 * samples.size * 1000 / peak


def test_a_room_adds_a_tail_that_dies_away():
    for seed in range(5):
        response = room_response(np.random.default_rng(seed), RATE)
        assert response[0] == 1.0
        quarters = [rms(part) for part in np.array_split(response[1:], 4)]
        assert quarters == sorted(quarters, reverse=True)
        assert 10**-1.3 < np.sum(response[1:] ** 2) < 1.01


def test_a_codec_changes_a_sound_but_neither_its_length_nor_its_level():
    samples = tone(1000, 1.0) + tone(1700, 1.0)
    for seed in range(4):
        coded = through_codec(samples, np.random.default_rng(seed), RATE)
        assert coded.shape == samples.shape
        assert 0.9 < rms(coded) / rms(samples) < 1.1
        assert not np.array_equal(coded, samples)


def test_chords_are_sustained_notes_without_clicks():
    for seed in range(6):
        notes = chords(3 * RATE, np.random.default_rng(seed), sample_rate=RATE)
        assert notes.shape == (3 * RATE,)
        assert notes[0] == notes[-1] == 0.0
        spectrum = np.abs(np.fft.rfft(notes * np.hanning(notes.size))) ** 2
        strongest = np.sort(spectrum)[::-1]
        assert strongest[:1000].sum() > 0.9 * spectrum.sum()


def test_clipped_peaks_are_flat():
    samples = tone(440, 0.1)
    clip_peaks(samples, np.random.default_rng(0))
    limit = np.abs(samples).max()
    assert 0.1 <= limit <= 0.45
    assert (np.abs(samples) == limit).sum() > 100


def layout(*rows):
    return [Event(label, onset, offset, 1.0) for label, onset, offset in rows]


def test_a_rebuilt_clip_has_the_events_of_its_list(bank):
    events = layout(("Hum", 0.0, 10.0), ("Beep", 1.25, 1.5), ("Beep", 8.0, 9.971))
    soundscape = Mixer(bank, EVALUATION_MIXING).rebuild(
        events, np.random.default_rng(0)
    )
    assert [
        (e.label, round(e.onset, 4), round(e.offset, 4)) for e in soundscape.events
    ] == [(e.label, e.onset, e.offset) for e in sorted(events)]


def test_a_rebuilt_event_sounds_from_its_onset_to_its_offset(bank):
    config = dataclasses.replace(
        EVALUATION_MIXING,
        event_to_background=(40.0, 40.0),
        distractor=0.0,
        gain=(0.0, 0.0),
    )
    mixer = Mixer(bank, config)
    for seed, (onset, offset) in enumerate([(2.0, 2.3), (0.5, 9.0), (4.0, 4.25)]):
        soundscape = mixer.rebuild(
            layout(("Beep", onset, offset)), np.random.default_rng(seed)
        )
        loud = np.flatnonzero(np.abs(soundscape.samples) > 0.3)
        assert loud[0] / RATE == pytest.approx(onset, abs=0.02)
        assert loud[-1] / RATE == pytest.approx(offset, abs=0.02)


def test_overlapping_events_of_one_label_become_one_and_the_end_is_cut(bank):
    events = layout(("Hum", 1.0, 4.0), ("Hum", 3.0, 12.0), ("Beep", 11.0, 12.0))
    soundscape = Mixer(bank, EVALUATION_MIXING).rebuild(
        events, np.random.default_rng(0)
    )
    assert [(e.label, e.onset, e.offset) for e in soundscape.events] == [
        ("Hum", 1.0, 10.0)
    ]


def test_a_label_that_the_bank_lacks_is_named(bank):
    with pytest.raises(
        ValueError, match=r"no sounds of the label 'Cat'; its labels are .*Beep, Hum"
    ):
        Mixer(bank, EVALUATION_MIXING).rebuild(
            layout(("Cat", 0, 1)), np.random.default_rng(0)
        )


def test_soundscapes_are_like_the_clips_of_a_list_as_often_as_asked(bank):
    layouts = [layout(("Beep", 3.0, 3.5))]
    mixer = Mixer(bank, dataclasses.replace(EVALUATION_MIXING, layout=0.5), layouts)
    drawn = [mixer.mix(np.random.default_rng(seed)).events for seed in range(40)]
    assert 8 < sum(events == layouts[0] for events in drawn) < 32


def test_variants_turn_over_from_generation_to_generation(bank):
    palette = Palette(bank, MixingConfig(n_variants=1))

    def variant(generation):
        for seed in range(20):
            clip = palette.clip(np.random.default_rng(seed), "Hum", generation)
            if all(clip is not each for each in bank.foreground["Hum"]):
                return clip.samples
        raise AssertionError("no variant in twenty draws")

    first, second, again = variant(0), variant(1), variant(0)
    assert np.array_equal(first, again)
    assert first.size != second.size or not np.array_equal(first, second)


def test_frame_augmentation_keeps_time_structure():
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((32, 128)).astype(np.float32)
    changed = frames.copy()
    recolour(changed, rng)
    np.testing.assert_allclose(
        np.diff(changed, axis=0), np.diff(frames, axis=0), atol=1e-4
    )
    segment = np.ones((32, 128), np.float32)
    drop_bands(segment, np.random.default_rng(1))
    assert (segment.mean(axis=0) == segment[0]).all()
    assert 0 < (segment[0] == 0).sum() <= 16


def test_written_soundscapes_come_with_their_list(bank, tmp_path):
    config = MixingConfig(n_variants=0, empty=1.0, isolated=0.0)
    tsv = write_soundscapes(tmp_path / "empty", Mixer(bank, config), n=1, seed=0)
    assert tsv.read_text() == (
        "filename\tonset\toffset\tevent_label\nsoundscape_00000.flac\t\t\t\n"
    )
    tsv = write_soundscapes(
        tmp_path / "some", Mixer(bank, EVALUATION_MIXING), n=2, seed=1
    )
    for line in tsv.read_text().splitlines()[1:]:
        name, onset, offset, label = line.split("\t")
        info = soundfile.info(tmp_path / "some" / "audio" / name)
        assert (info.samplerate, info.frames) == (RATE, 441000)
        assert label == "" or 0 <= float(onset) < float(offset) <= 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"duration": 0.0}, "duration=0.0 must"),
        ({"n_variants": -1}, "n_variants=-1 must"),
        ({"max_events": 0}, "max_events=0 must"),
        ({"short": 1.5}, "short=1.5 must"),
    ],
)
def test_rules_that_cannot_be_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MixingConfig(**arguments)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no sounds, or only silent ones, in foreground/<Label>/"),
        (b"no sound", "a.wav: not a supported audio file"),
        (b"", "a.wav: is empty"),
    ],
)
def test_a_bank_without_sounds_is_refused_by_the_file(tmp_path, content, says):
    (tmp_path / "foreground" / "Door").mkdir(parents=True)
    if content is not None:
        (tmp_path / "foreground" / "Door" / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=says):
        Soundbank.load(tmp_path)
