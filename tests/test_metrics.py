import numpy as np
import pytest

from streamsed.config import FrontendConfig
from streamsed.events import Event

metrics = pytest.importorskip("train.metrics", reason="needs streamsed[train]")

FRONTEND = FrontendConfig()
LABELS = ("Cat", "Dog")
N_SAMPLES = 441_000


def scored(spans, *, level=0.9):
    """Scores that are `level` in some spans (label, first, last frame), 0.1 elsewhere."""
    scores = np.full((128, 2), 0.1, np.float32)
    for label, first, last in spans:
        scores[first:last, LABELS.index(label)] = level
    return scores


def events(spans):
    duration = FRONTEND.score_frame_duration
    return [Event(label, a * duration, b * duration, 1.0) for label, a, b in spans]


def psds_of(truth, guesses):
    return metrics.psds(
        [events(spans) for spans in truth],
        guesses,
        LABELS,
        n_samples=[N_SAMPLES] * len(truth),
        frontend=FRONTEND,
    )


TRUTH = [[("Cat", 10, 40)], [("Dog", 50, 90), ("Cat", 100, 120)]]


def test_perfect_scores_have_an_area_of_1():
    assert psds_of(TRUTH, [scored(spans) for spans in TRUTH]) == pytest.approx((1, 1))


def test_scores_that_say_nothing_have_an_area_of_0():
    assert psds_of(TRUTH, [scored([]), scored([])]) == pytest.approx((0, 0), abs=0.02)


def test_scenario_1_wants_exact_times_and_scenario_2_does_not():
    half = [[("Cat", 10, 25)], [("Dog", 50, 70), ("Cat", 100, 110)]]
    exact, named = psds_of(TRUTH, [scored(spans) for spans in half])
    assert exact == pytest.approx(0, abs=0.02)
    assert named == pytest.approx(1)


def test_a_label_that_the_reference_never_names_does_not_count():
    truth = [[("Cat", 10, 40)]]
    wrong = scored([("Cat", 10, 40), ("Dog", 60, 90)])
    assert psds_of(truth, [wrong]) == pytest.approx((1, 1))


def test_false_alarms_cost_area():
    truth = [[("Cat", 10, 40)], [("Dog", 10, 40)]]
    loud = [scored([("Cat", 10, 40), ("Dog", 60, 90)], level=0.95), scored(truth[1])]
    assert max(psds_of(truth, loud)) < 0.9


def f1_of(truth, guess):
    return metrics.event_f1([truth], [guess], LABELS)


@pytest.mark.parametrize(
    ("onset", "offset", "hit"),
    [
        (1.0, 3.0, True),
        (1.19, 3.0, True),
        (1.21, 3.0, False),
        (1.0, 3.39, True),  # a fifth of 2 s is more than 0.2 s
        (1.0, 3.41, False),
    ],
)
def test_an_event_is_right_within_the_collars(onset, offset, hit):
    scored = f1_of([Event("Cat", 1.0, 3.0, 1.0)], [Event("Cat", onset, offset, 0.9)])
    assert scored.per_label["Cat"] == hit


def test_a_short_event_has_an_offset_collar_of_200_ms():
    truth = [Event("Cat", 1.0, 1.3, 1.0)]
    assert f1_of(truth, [Event("Cat", 1.0, 1.49, 0.9)]).per_label["Cat"] == 1
    assert f1_of(truth, [Event("Cat", 1.0, 1.51, 0.9)]).per_label["Cat"] == 0


def test_macro_is_the_mean_over_labels_and_micro_counts_all_events():
    truth = [Event("Cat", t, t + 0.5, 1.0) for t in (0, 2, 4)]
    truth += [Event("Dog", 6.0, 7.0, 1.0)]
    guess = [Event("Cat", t, t + 0.5, 0.9) for t in (0, 2, 8)]
    scored = f1_of(truth, guess)  # Cat: 2 of 3 found, 2 of 3 right; Dog: never named
    assert scored.per_label == {"Cat": pytest.approx(2 / 3), "Dog": 0}
    assert scored.macro == pytest.approx(1 / 3)
    assert scored.micro == pytest.approx(2 * 2 / (3 + 4))


def test_another_number_of_clips_is_refused():
    with pytest.raises(ValueError, match="estimated clips=0 must be as many"):
        metrics.event_f1([[]], [], LABELS)
