import numpy as np

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.evaluation.privacy import withheld_clips

CONFIG = FrontendConfig()
FRAME = CONFIG.score_frame_duration
LABELS = ("Dog", "Speech")


def speech_scores(*spans):
    scores = np.zeros((128, 2), np.float32)
    for first, last in spans:
        scores[round(first / FRAME) : round(last / FRAME), 1] = 0.4
    return scores


def counted(scores, found, truth):
    return withheld_clips(
        [scores], [found], [truth], labels=LABELS, limit=0.3, config=CONFIG
    )


def test_clips_are_counted_by_what_they_hold_and_what_becomes_of_them():
    dogs = [Event("Dog", t, t + 0.5, 0.9) for t in (1.0, 4.0, 7.0, 9.2)]
    truth = [Event("Speech", 3.2, 3.6, 1.0), Event("Speech", 7.1, 7.3, 1.0)]
    scores = speech_scores((3.2, 3.6), (9.3, 9.5))  # the second word is missed
    assert counted(scores, dogs, truth) == {
        "with_speech": 2,
        "saved": 1,
        "without": 2,
        "withheld": 1,
    }


def test_what_is_outside_a_clip_does_not_count():
    dog = Event("Dog", 4.0, 5.0, 0.9)
    truth = [Event("Speech", 1.0, 2.9, 1.0), Event("Speech", 5.6, 7.0, 1.0)]
    scores = speech_scores((1.0, 2.8), (5.7, 7.0))
    assert counted(scores, [dog], truth) == {
        "with_speech": 0,
        "saved": 0,
        "without": 1,
        "withheld": 0,
    }


def test_a_clip_of_speech_itself_is_one_with_speech():
    word = Event("Speech", 2.0, 3.0, 0.9)
    counts = counted(speech_scores((2.0, 3.0)), [word], [word])
    assert (counts["with_speech"], counts["saved"]) == (1, 0)
