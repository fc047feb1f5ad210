"""Frequencies stand where librosa's mel bands are."""

import librosa
import numpy as np
import pytest

from streamsed.config import FrontendConfig
from streamsed.plots.mel_axis import band_of, ticks


@pytest.mark.parametrize(
    "config", [FrontendConfig(), FrontendConfig(n_mels=64, fmin=50.0, fmax=8000.0)]
)
def test_the_centre_of_each_band_is_where_librosa_has_it(config):
    centres = librosa.mel_frequencies(
        config.n_mels + 2, fmin=config.fmin, fmax=config.fmax
    )[1:-1]
    places = [band_of(float(hz), config) for hz in centres]
    np.testing.assert_allclose(places, np.arange(config.n_mels) + 0.5, atol=1e-6)


def test_ticks_are_round_frequencies_inside_the_bands():
    config = FrontendConfig(n_mels=64, fmin=300.0, fmax=5000.0)
    places, names = ticks(config)
    assert names == ["500", "1000", "2000", "4000"]
    assert places == sorted(places)
    assert 0 <= places[0] < places[-1] <= 64
