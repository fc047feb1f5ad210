"""Arguments that nobody means well by: each is refused in one sentence, at once."""

import copy
import pickle

import numpy as np
import pytest

from streamsed import _core

SETTINGS = {
    "sample_rate": 44100,
    "n_fft": 2048,
    "win_length": 2048,
    "hop_length": 431,
    "n_mels": 128,
    "fmin": 0.0,
    "fmax": 22050.0,
    "amin": 1e-10,
}
HUGE = 2**63 - 1


def log_mel(**changes):
    return _core.LogMel(**{**SETTINGS, **changes})


def gap_filter(n_labels=2):
    half, three = np.full(n_labels, 0.5, np.float32), np.full(n_labels, 3)
    return _core.GapFilter(
        onset_thresholds=half,
        rise_thresholds=half,
        offset_thresholds=half,
        min_gaps=three,
        min_durations=three,
    )


@pytest.mark.parametrize(
    "name", ["sample_rate", "n_fft", "win_length", "hop_length", "n_mels"]
)
@pytest.mark.parametrize("value", [HUGE, HUGE // 2 + 1, 2**32, -1, -HUGE - 1, 0])
def test_a_whole_number_far_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}={value} must be"):
        log_mel(**{name: value})


@pytest.mark.parametrize("name", ["fmin", "fmax", "amin"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_a_number_that_is_not_finite_or_absurd_is_named(name, value):
    with pytest.raises(ValueError, match=r"^(fmin|fmax|amin)=.* must be"):
        log_mel(**{name: value})


@pytest.mark.parametrize("value", [2**63, -(2**70), 2048.0, "2048", None])
def test_what_is_no_64_bit_whole_number_is_a_type_error(value):
    with pytest.raises(TypeError):
        log_mel(n_fft=value)


def test_a_chunk_whose_frames_would_fill_the_memory_is_refused_and_nothing_taken():
    greedy = log_mel(n_fft=64, win_length=64, hop_length=1, n_mels=4096)
    chunk = np.zeros(200_000, np.float32)  # 800 kB that ask for 3 GB
    with pytest.raises(ValueError, match=r"at most 536870912 values.*smaller pieces"):
        greedy.push(chunk)
    assert greedy.n_samples == 0
    assert greedy.push(chunk[:100]).shape == (69, 4096)


def test_the_greatest_settings_fit_into_memory():
    greatest = log_mel(
        sample_rate=10_000_000, n_fft=65536, win_length=65536, n_mels=4096, fmax=5e6
    )
    assert greatest.push(np.zeros(70_000, np.float32)).shape[1] == 4096
    assert np.isfinite(greatest.flush()).all()


@pytest.mark.parametrize(
    "chunk",
    [
        np.zeros(10, ">f4"),
        np.broadcast_to(np.float32(0), 2**40),
        np.zeros(10, np.complex64),
        np.array([0.0, None]),
        np.zeros(11, np.float32)[::-1],
        b"\0" * 40,
        memoryview(b"\0" * 40),
    ],
    ids=["big-endian", "2^40 in 4 bytes", "complex", "objects", "-1", "bytes", "view"],
)
def test_samples_in_any_other_layout_are_a_type_error(chunk):
    with pytest.raises(TypeError):
        log_mel().push(chunk)
    with pytest.raises(TypeError):
        gap_filter().push(chunk)
    with pytest.raises(TypeError):
        _core.triple_norm(chunk, 80.0)


@pytest.mark.parametrize("shape", [(), (0, 2**40), (2**40, 0), (1, 2, 0)])
def test_empty_arrays_of_vast_or_odd_shape_are_refused(shape):
    array = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match="must have 1"):
        log_mel().push(array)
    with pytest.raises(
        ValueError, match=r"scores has .* (columns|dimensions?); it must"
    ):
        gap_filter().push(array)


@pytest.mark.parametrize("shape", [(0, 2**40), (2**40, 0), (0, 0)])
def test_no_frames_of_any_shape_normalise_to_as_many(shape):
    assert _core.triple_norm(np.zeros(shape, np.float32), 80.0).shape == shape


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 1), (6, 4), (99, 12)])
@pytest.mark.parametrize("simd", _core.simd_targets())
def test_frames_that_are_not_finite_are_refused(bad, place, simd):
    frames = np.zeros((100, 13), np.float32)
    frames[place] = bad
    with pytest.raises(ValueError, match="frames must be finite decibels"):
        _core.triple_norm(frames, 80.0, simd)


def test_a_range_that_no_float_holds_is_refused():
    frames = np.array([[3e38, -3e38]], np.float32)
    with pytest.raises(ValueError, match="range beyond that of a float"):
        _core.triple_norm(frames, 80.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_named_and_nothing_is_taken(bad):
    scores = np.ones((4, 2), np.float32)
    tracker = gap_filter()
    tracker.push(scores)
    scores[2, 1] = bad
    with pytest.raises(ValueError, match=r"^scores\[2, 1\]=-?(nan|inf) must be finite"):
        tracker.push(scores)
    assert tracker.n_frames == 4
    assert [run["offset"] for run in tracker.flush()] == [4, 4]


def test_rules_of_the_greatest_lengths_do_not_overflow():
    half, longest = np.full(1, 0.5, np.float32), np.full(1, HUGE)
    for shortest, open_until in ((np.array([0]), [3]), (longest, [])):
        tracker = _core.GapFilter(
            onset_thresholds=half,
            rise_thresholds=half,
            offset_thresholds=half,
            min_gaps=longest,
            min_durations=shortest,
        )
        assert len(tracker.push(np.array([[1], [0], [1]], np.float32))) == 0
        assert tracker.open_runs()["offset"].tolist() == open_until
        assert len(tracker.flush()) == len(open_until)


@pytest.mark.parametrize("name", ["avx512\0", "\x1b[2J", "", "a" * 10_000, "AUTO"])
def test_a_target_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="must be one of those that run") as refusal:
        log_mel(simd=name)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200
    with pytest.raises(ValueError, match="must be one of those that run"):
        _core.triple_norm(np.zeros((1, 1), np.float32), 80.0, name)


USES = [
    (_core.LogMel, "push", (np.zeros(9, np.float32),)),
    (_core.LogMel, "flush", ()),
    (_core.LogMel, "reset", ()),
    (_core.GapFilter, "push", (np.zeros((9, 2), np.float32),)),
    (_core.GapFilter, "flush", ()),
    (_core.GapFilter, "reset", ()),
    (_core.GapFilter, "open_runs", ()),
    (_core.GapFilter, "copy", ()),
]


@pytest.mark.parametrize(("kind", "method", "arguments"), USES)
def test_an_object_that_was_never_initialised_says_so(kind, method, arguments):
    empty = kind.__new__(kind)
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.__init__ was never called"):
        getattr(empty, method)(*arguments)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((_core.LogMel, n) for n in ("n_mels", "latency", "n_samples", "n_frames")),
        (_core.LogMel, "simd"),
        (_core.GapFilter, "n_labels"),
        (_core.GapFilter, "n_frames"),
    ],
)
def test_a_property_of_what_was_never_initialised_says_so(kind, name):
    with pytest.raises(TypeError, match=r"__init__ was never called"):
        getattr(kind.__new__(kind), name)


def test_an_object_whose_init_was_refused_is_not_usable_either():
    empty = _core.LogMel.__new__(_core.LogMel)
    with pytest.raises(ValueError, match="n_fft"):
        empty.__init__(**{**SETTINGS, "n_fft": 3})
    with pytest.raises(TypeError, match=r"__init__ was never called"):
        empty.push(np.zeros(9, np.float32))
    empty.__init__(**SETTINGS)
    assert empty.n_mels == 128


@pytest.mark.parametrize("make", [log_mel, gap_filter])
@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, pickle.dumps])
def test_state_in_the_core_is_neither_pickled_nor_copied_by_halves(make, twin):
    with pytest.raises(TypeError, match="pickle"):
        twin(make())
