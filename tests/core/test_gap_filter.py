"""The core's GapFilter: connect, then cut, as soon as it can be known."""

import sys

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from sounds import cut

from streamsed import _core

FIELDS = [
    ("label", np.int32),
    ("onset", np.int64),
    ("offset", np.int64),
    ("score", np.float32),
]


def make(onset=(0.5,), offset=None, min_gap=3, min_duration=3, rise=None):
    onset = np.array(onset, np.float32)
    return _core.GapFilter(
        onset_thresholds=onset,
        rise_thresholds=onset if rise is None else np.array(rise, np.float32),
        offset_thresholds=onset if offset is None else np.array(offset, np.float32),
        min_gaps=np.full(len(onset), min_gap, np.int64),
        min_durations=np.full(len(onset), min_duration, np.int64),
    )


def drawn(*labels):
    """Scores from a drawing: # is 1, . is 0, a digit so many tenths."""
    tenths = {"#": 10, ".": 0} | {str(i): i for i in range(10)}
    rows = [[tenths[sign] / 10 for sign in label] for label in labels]
    return np.array(rows, np.float32).T.copy()


def runs_of(gap_filter, chunks):
    return np.concatenate([*map(gap_filter.push, chunks), gap_filter.flush()])


def spans(runs):
    return [(int(onset), int(offset)) for onset, offset in runs[["onset", "offset"]]]


def drawing_of(runs, n_frames):
    signs = ["."] * n_frames
    for onset, offset in spans(runs):
        signs[onset:offset] = "#" * (offset - onset)
    return "".join(signs)


@st.composite
def rules_and_scores(draw):
    """Thresholds and lengths for up to three labels, and scores near the thresholds."""
    n_labels = draw(st.integers(1, 3))
    tenths = st.integers(0, 10).map(lambda n: n / 10)
    onset = [draw(tenths) for _ in range(n_labels)]
    rise, offset = (
        [min(threshold, draw(tenths)) for threshold in onset] for _ in range(2)
    )
    lengths = st.lists(st.integers(0, 5), min_size=n_labels, max_size=n_labels)
    rules = {
        "onset_thresholds": np.array(onset, np.float32),
        "rise_thresholds": np.array(rise, np.float32),
        "offset_thresholds": np.array(offset, np.float32),
        "min_gaps": np.array(draw(lengths), np.int64),
        "min_durations": np.array(draw(lengths), np.int64),
    }
    shape = st.tuples(st.integers(0, 60), st.just(n_labels))
    return rules, draw(arrays(np.float32, shape, elements=tenths.map(np.float32)))


sizes = st.lists(st.integers(0, 20), max_size=10)


@given(rules_and_scores(), sizes)
def test_agrees_with_the_slow_twin_however_chunked(case, sizes):
    rules, scores = case
    runs = runs_of(_core.GapFilter(**rules), cut(scores, sizes))
    assert [tuple(run) for run in runs] == [
        tuple(run) for run in reference.gap_filter(scores, *rules.values())
    ]


@given(rules_and_scores(), sizes)
def test_chunking_does_not_change_a_bit_of_the_runs(case, sizes):
    rules, scores = case
    scores = scores * np.float32(0.987654)
    whole = runs_of(_core.GapFilter(**rules), [scores])
    assert_array_equal(runs_of(_core.GapFilter(**rules), cut(scores, sizes)), whole)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ("###..###", "########"),  # a gap of 2 is filled
        ("###...###", "###...###"),  # a gap of 3 is not
        ("##..##....", "######...."),  # connected first, long enough for the cut
        ("##...##...", ".........."),  # two runs of 2 are both cut
        ("..###", "..###"),  # nothing is filled before the first run
        ("###..", "###.."),  # nor after the last one
        ("#.#.#", "#####"),
        ("#", "."),
        (".....", "....."),
        ("###", "###"),
    ],
)
def test_gaps_and_runs_of_less_than_3_frames_do_not_count(scores, expected):
    runs = runs_of(make(), [drawn(scores)])
    assert drawing_of(runs, len(scores)) == expected


def test_connecting_comes_before_cutting():
    scores = drawn("##..##......#..###")
    connected_first = runs_of(make(), [scores])
    active = reference.active_frames(scores[:, 0], 0.5, 0.5)
    cut_first = reference.connect(reference.cut(active, 3), 3)
    assert spans(connected_first) == [(0, 6), (12, 18)]
    assert reference.spans(cut_first) == [(15, 18)]


def test_a_label_stays_active_down_to_the_offset_threshold():
    scores = drawn("44645554394446")
    both = make([0.6], [0.4], min_gap=0, min_duration=0)
    assert drawing_of(runs_of(both, [scores]), 14) == "..######.#####"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ("1245799642", "..#######."),  # from the first 4 before the 7
        ("4444712344", "#####....."),  # none after it, without another 7
        ("43447.....", "..###....."),  # the 3 separates
        ("4444444444", ".........."),  # no frame is sure
        ("7.......47", "#.......##"),
    ],
)
def test_a_run_begins_where_the_scores_rose(scores, expected):
    rising = make([0.7], [0.4], min_gap=1, min_duration=0, rise=[0.4])
    assert drawing_of(runs_of(rising, [drawn(scores)]), 10) == expected


@pytest.mark.parametrize("min_gap", [0, 1, 2, 3])
def test_a_run_does_not_begin_before_the_one_before_it_had_closed(min_gap):
    rising = make([0.7], [0.6], min_gap=min_gap, min_duration=0, rise=[0.3])
    runs = runs_of(rising, [drawn("77744444477")])
    assert spans(runs) == [(0, 3), (3 + max(min_gap, 1), 11)]


def test_the_frames_of_the_rise_count_for_the_score_and_not_for_the_duration():
    scores = drawn(".4577..")
    (run,) = runs_of(make([0.7], min_gap=1, min_duration=2, rise=[0.4]), [scores])
    assert run.tolist() == (0, 1, 5, reference.mean(scores[1:5, 0]))
    assert len(runs_of(make([0.7], min_duration=3, rise=[0.4]), [scores])) == 0


@given(rules_and_scores())
def test_the_rise_threshold_decides_where_runs_begin_and_not_which_there_are(case):
    rules, scores = case
    without = rules | {"rise_thresholds": rules["onset_thresholds"]}
    runs = runs_of(_core.GapFilter(**rules), [scores])
    plain = runs_of(_core.GapFilter(**without), [scores])
    assert_array_equal(runs[["label", "offset"]], plain[["label", "offset"]])
    assert (runs["onset"] <= plain["onset"]).all()


def test_what_only_rises_is_no_open_run():
    rising = make([0.7], min_duration=2, rise=[0.4])
    for signs in (".66", "7"):
        rising.push(drawn(signs))
        assert (
            len(rising.open_runs()) == 0
        )  # too short, though four frames since the rise
    rising.push(drawn("7"))
    assert spans(rising.open_runs()) == [(1, 5)]


def test_thresholds_are_reached_by_equality():
    scores = np.array([[0.5], [0.3], [0.3], [0.29]], np.float32)
    runs = runs_of(make([0.5], [0.3]), [scores])
    assert spans(runs) == [(0, 3)]


def test_after_a_gap_the_onset_threshold_must_be_reached_again():
    scores = drawn("666..444444")
    assert spans(runs_of(make([0.6], [0.4]), [scores])) == [(0, 3)]


@pytest.mark.parametrize("min_gap", [0, 1, 2, 3, 7])
def test_a_run_closes_as_soon_as_its_gap_cannot_be_filled(min_gap):
    gap_filter = make(min_gap=min_gap, min_duration=0)
    assert len(gap_filter.push(drawn("####"))) == 0
    for _ in range(max(min_gap, 1) - 1):
        assert len(gap_filter.push(drawn("."))) == 0
    assert spans(gap_filter.push(drawn("."))) == [(0, 4)]
    assert len(gap_filter.flush()) == 0


def test_the_score_is_the_mean_with_the_filled_gaps():
    (run,) = runs_of(make(), [drawn("..89.2689...")])
    assert spans(np.array([run])) == [(2, 9)]
    assert run["score"] == np.float32((8 + 9 + 0 + 2 + 6 + 8 + 9) / 10 / 7)


def test_runs_come_in_the_order_in_which_they_close_then_by_label():
    scores = drawn("#####....####...", "###......####...", ".....###########")
    runs = runs_of(make([0.5] * 3), [scores])
    assert [(int(r["label"]), int(r["onset"])) for r in runs] == [
        (1, 0),
        (0, 0),
        (0, 9),
        (1, 9),
        (2, 5),
    ]


def test_runs_have_the_promised_fields():
    runs = runs_of(make(), [drawn("####")])
    assert [(name, runs.dtype[name].type) for name in runs.dtype.names] == FIELDS
    assert runs.tolist() == [(0, 0, 4, 1.0)]
    assert make().push(drawn("")).dtype.names == runs.dtype.names


def test_open_runs_show_what_is_not_yet_closed_and_long_enough():
    gap_filter = make([0.5, 0.5], min_duration=2)
    gap_filter.push(drawn("..8", "..."))
    assert len(gap_filter.open_runs()) == 0
    gap_filter.push(drawn("84.", ".66"))
    assert gap_filter.open_runs().tolist() == [
        (0, 2, 4, np.float32(0.8)),
        (1, 4, 6, np.float32(0.6)),
    ]
    assert spans(gap_filter.push(drawn("...", "###"))) == [(2, 4)]
    assert gap_filter.open_runs()["label"].tolist() == [1]
    gap_filter.flush()
    assert len(gap_filter.open_runs()) == 0


def test_a_run_of_the_first_frame_alone_is_open_and_silence_is_not():
    gap_filter = make([0.5, 0.5], min_duration=0)
    gap_filter.push(drawn("#", "."))
    assert gap_filter.open_runs()["label"].tolist() == [0]
    assert spans(gap_filter.open_runs()) == [(0, 1)]


def test_a_copy_goes_its_own_way():
    gap_filter = make()
    gap_filter.push(drawn("..##"))
    ahead = gap_filter.copy()
    assert spans(runs_of(ahead, [drawn("##")])) == [(2, 6)]
    assert gap_filter.n_frames == 4
    assert spans(runs_of(gap_filter, [drawn("#....")])) == [(2, 5)]


@pytest.mark.parametrize("left_open", [("#####", "....."), (".....", "####.")])
def test_reset_equals_new(left_open):
    gap_filter = make([0.5, 0.5])
    gap_filter.push(drawn(*left_open))
    gap_filter.reset()
    assert gap_filter.n_frames == 0
    assert len(gap_filter.open_runs()) == 0
    scores = drawn(".###..#....", "##...###...")
    expected = runs_of(make([0.5, 0.5]), [scores])
    assert_array_equal(runs_of(gap_filter, [scores]), expected)
    gap_filter.reset()
    assert_array_equal(runs_of(gap_filter, [scores]), expected)


def test_push_after_flush_is_refused_until_reset():
    gap_filter = make()
    gap_filter.flush()
    assert len(gap_filter.flush()) == 0
    with pytest.raises(RuntimeError, match=r"push after flush.*reset"):
        gap_filter.push(drawn("#"))
    gap_filter.reset()
    gap_filter.push(drawn("#"))


@pytest.mark.slow
def test_frames_are_counted_exactly_past_32_bits():
    gap_filter = make(min_gap=1, min_duration=1)
    quiet = np.zeros((1 << 16, 1), np.float32)
    while gap_filter.n_frames <= 2**31:
        gap_filter.push(quiet)
    onset = gap_filter.n_frames
    assert spans(runs_of(gap_filter, [drawn("###.")])) == [(onset, onset + 3)]


def test_a_run_may_last_for_days():
    gap_filter = make()
    day = np.full((1105079, 1), 0.7, np.float32)
    for _ in range(3):
        assert len(gap_filter.push(day)) == 0
    (run,) = gap_filter.flush()
    assert run.tolist() == (0, 0, 3 * len(day), np.float32(0.7))


def test_memory_is_bounded():
    gap_filter = make()
    before = sys.getsizeof(gap_filter)
    for _ in range(1000):
        gap_filter.push(drawn("####...."))
    assert sys.getsizeof(gap_filter) == before
    assert len(gap_filter.open_runs()) <= 1


@pytest.mark.parametrize("n_labels", [0, 65537])
def test_there_are_1_to_65536_labels(n_labels):
    with pytest.raises(ValueError, match=f"{n_labels} labels.* must be for 1 to 65536"):
        make(np.full(n_labels, 0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"offset": [0.6]},
            r"offset_thresholds\[0\]=0.6.* at most the onset threshold",
        ),
        ({"rise": [0.6]}, r"rise_thresholds\[0\]=0.6.* at most the onset threshold"),
        ({"rise": [np.nan]}, r"rise_thresholds\[0\]=nan must be"),
        ({"rise": [0.5, 0.5]}, "must be as long as onset_thresholds"),
        ({"offset": [np.nan]}, r"offset_thresholds\[0\]=nan must be"),
        ({"onset": [np.nan], "rise": [0.5]}, r"rise_thresholds\[0\]=0.5.* nan"),
        ({"min_gap": -1}, r"min_gaps\[0\]=-1 must be at least 0"),
        ({"min_duration": -1}, r"min_durations\[0\]=-1 must be at least 0"),
        (
            {"onset": [0.5] * 3, "offset": [0.5, 0.5, 0.6]},
            r"offset_thresholds\[2\]=0.6",
        ),
        ({"offset": [0.5, 0.5]}, "must be as long as onset_thresholds"),
        ({"offset": [[0.5]]}, "offset_thresholds has 2 dimensions; it must have 1"),
    ],
)
def test_a_rule_out_of_range_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_a_threshold_array_of_another_type_is_refused():
    with pytest.raises(TypeError):
        _core.GapFilter(
            onset_thresholds=np.array([0.5]),
            rise_thresholds=np.array([0.5]),
            offset_thresholds=np.array([0.5]),
            min_gaps=np.array([3]),
            min_durations=np.array([3]),
        )


def test_scores_of_another_type_are_refused():
    with pytest.raises(TypeError):
        make().push(np.zeros((5, 1)))


def test_scores_need_a_column_for_each_label():
    with pytest.raises(
        ValueError, match=r"scores has 2 columns; .* each of the 1 labels"
    ):
        make().push(np.zeros((5, 2), np.float32))
    with pytest.raises(ValueError, match="scores has 1 dimension; it must have 2"):
        make().push(np.zeros(5, np.float32))
