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
