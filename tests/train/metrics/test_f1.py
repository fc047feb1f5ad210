"""F1 of counts, and how it varies when the clips are resampled."""

import numpy as np
import pytest

from train.metrics.f1 import F1, Counts


def make(n_clips, *, seed=0, hit=0.6):
    """Counts of a label that is always there and of one that is rare."""
    rng = np.random.default_rng(seed)
    n_reference = np.stack(
        [rng.integers(1, 4, n_clips), rng.integers(9, size=n_clips) // 8], 1
    )
    hits = rng.binomial(n_reference, hit)
    n_estimated = hits + rng.binomial(1, 0.3, hits.shape)
    return Counts(("often", "rare"), hits, n_reference, n_estimated)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    counts = make(50)
    hits, there, claimed = (
        table.sum(axis=0)
        for table in (counts.hits, counts.n_reference, counts.n_estimated)
    )
    precision, recall = hits / claimed, hits / there
    expected = 2 * precision * recall / (precision + recall)
    assert list(counts.f1().per_label.values()) == pytest.approx(expected.tolist())
    assert counts.f1().macro == pytest.approx(expected.mean())


def test_nothing_at_all_scores_0():
    nothing = np.zeros((3, 2), np.int64)
    f1 = Counts(("a", "b"), nothing, nothing, nothing).f1()
    assert (f1.macro, f1.micro, f1.per_label) == (0, 0, {"a": 0, "b": 0})
    assert f1.absent == ("a", "b")


def test_equal_clips_leave_no_room():
    one = np.ones((40, 1), np.int64)
    spans = Counts(("a",), one, one, 2 * one).bootstrap()
    assert spans.macro == spans.micro == spans.per_label["a"] == (2 / 3, 2 / 3)


def test_intervals_hold_the_score_and_shrink_with_more_clips():
    few, many = make(60), make(6000)
    widths = []
    for counts in (few, many):
        f1, spans = counts.f1(), counts.bootstrap(seed=1)
        assert spans.macro[0] < f1.macro < spans.macro[1]
        assert spans.micro[0] < f1.micro < spans.micro[1]
        widths.append(spans.micro[1] - spans.micro[0])
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.3)  # by the root of 100


def test_equal_seeds_draw_equal_clips():
    counts = make(60)
    assert counts.bootstrap(seed=3) == counts.bootstrap(seed=3)
    assert counts.bootstrap(seed=3) != counts.bootstrap(seed=4)


def test_intervals_agree_with_resampling_one_by_one():
    counts = make(30)
    rng = np.random.default_rng(0)
    uniform = np.full(30, 1 / 30)
    scores = []
    for _ in range(50):
        drawn = np.repeat(np.arange(30), rng.multinomial(30, uniform))
        tables = counts.hits, counts.n_reference, counts.n_estimated
        scores.append(Counts(counts.labels, *(t[drawn] for t in tables)).f1())
    spans = counts.bootstrap(n_resamples=50, seed=0)
    ends = np.quantile([f1.macro for f1 in scores], (0.025, 0.975))
    assert spans.macro == pytest.approx(tuple(ends))
    ends = np.quantile([f1.micro for f1 in scores], (0.025, 0.975))
    assert spans.micro == pytest.approx(tuple(ends))
    rare = [f1.per_label["rare"] for f1 in scores if not f1.absent]
    assert 0 < len(rare) <= 50
    ends = np.quantile(rare, (0.025, 0.975))
    assert spans.per_label["rare"] == pytest.approx(tuple(ends))


def test_an_interval_holds_95_of_a_hundred_of_1000_draws():
    counts = make(30)
    asked = counts.bootstrap(n_resamples=1000, level=0.95, seed=0)
    assert counts.bootstrap() == asked
    assert counts.bootstrap(n_resamples=999) != asked


def test_counts_worked_out_by_hand():
    """Cat: 2 of 3 found with 1 false; Dog: missed; Mouse: claimed, never there."""
    hits = np.array([[1, 0, 0], [1, 0, 0]])
    there = np.array([[1, 0, 0], [2, 1, 0]])
    claimed = np.array([[2, 0, 1], [1, 0, 0]])
    f1 = Counts(("Cat", "Dog", "Mouse"), hits, there, claimed).f1()
    assert f1.per_label == {"Cat": pytest.approx(2 / 3), "Dog": 0, "Mouse": 0}
    assert f1.macro == pytest.approx(1 / 3)
    assert f1.micro == pytest.approx(4 / 8)
    assert f1.absent == ("Mouse",)
    one = Counts(("Cat", "Mouse"), hits[:, ::2], there[:, ::2], claimed[:, ::2]).f1()
    assert one.macro == pytest.approx(2 / 3)


def test_columns_without_a_label_are_refused():
    counts = Counts(("a",), *3 * [np.ones((4, 2), np.int64)])
    with pytest.raises(ValueError, match="longer"):
        counts.f1()
    with pytest.raises(ValueError, match="longer"):
        _ = counts.absent


def test_draws_without_a_label_say_nothing_of_it():
    """One of ten clips has it: a third of the draws do not, and do not count as 0."""
    there = np.zeros((10, 2), np.int64)
    there[0, 0] = 1
    spans = Counts(("once", "never"), there, there, there).bootstrap()
    assert spans.per_label == {"once": (1, 1), "never": (0, 0)}


def test_scores_are_written_to_four_decimals():
    scores = F1(1 / 3, 2 / 3, {"Dog": 1 / 7}).to_dict()
    assert scores == {
        "event_f1_macro": 0.3333,
        "event_f1_micro": 0.6667,
        "event_f1_per_label": {"Dog": 0.1429},
    }
