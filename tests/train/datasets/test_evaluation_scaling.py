"""What is measured is scaled as the model's own front-end says, where nobody says else."""

from dataclasses import replace

import numpy as np
import pytest

from streamsed.config import FrontendConfig
from streamsed.pipeline.frontend import scale_segment
from train.datasets.clip_features import log_mel
from train.datasets.evaluation_set import gather
from train.evaluation.continuous.alone import recognise_alone
from train.mixing.mixer import isolated_soundscapes
from train.mixing.soundbank import Clip, Soundbank


def bank():
    samples = np.sin(np.arange(44100) / 9.0).astype(np.float32)
    samples += 0.01 * np.random.default_rng(0).standard_normal(44100).astype(np.float32)
    return Soundbank({"Beep": (Clip(samples, ((0, 44100),)),)}, {}, 44100)


@pytest.mark.parametrize("name", ["triple", "relative"])
def test_segments_are_scaled_as_the_front_end_says(name):
    config = replace(FrontendConfig(), scaling=name)
    (soundscape,) = isolated_soundscapes(bank())
    expected = scale_segment(log_mel(soundscape.samples, config), config)
    gathered = gather([soundscape], ("Beep",), config)
    np.testing.assert_array_equal(gathered.segments[0], expected)
    seen = []

    def score(segments):
        seen.append(segments)
        return np.ones((len(segments), 128, 1), np.float32)

    recognise_alone(bank(), score, ("Beep",), config)
    np.testing.assert_array_equal(seen[0][0], expected)
