"""A recording scores as deployed what its clip scored where the network was validated."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from networks import LABELS, random_trained

from streamsed.audio.decode import file_chunks
from streamsed.config import PostConfig
from streamsed.detector import Detector
from streamsed.events import Event
from streamsed.inference.model import Model
from streamsed.inference.selection import Candidate
from streamsed.pipeline.trace import Trace
from train.annotations.desed import Subset
from train.datasets.clips import ClipDataset, evaluation_set
from train.datasets.feature_cache import build_features
from train.datasets.scaling import scaling_from_dict
from train.evaluation.scoring import network_scores, scores_to_events
from train.export.exporter import describe
from train.fit.checkpoint import LAST, load_trained, save_atomically

SCENE = Path(__file__).parents[3] / "examples" / "scene.flac"


class TorchEngine:
    """Runs a network as it was trained."""

    place, threads = "cpu", 1

    def __init__(self, network):
        self.network = network

    def run(self, features):
        with torch.no_grad():
            scores, region = self.network(torch.from_numpy(features)[None, None])
        return scores[0].numpy(), region[0].numpy()


def run_of(folder, scaling):
    """Write a checkpoint of random weights, and load it."""
    made = random_trained(scaling=scaling)
    state = {
        "config": made.config.to_dict(),
        "labels": list(LABELS),
        "scaling": scaling_from_dict({"name": scaling}).to_dict(),
        "step": 1,
        "evaluated": made.network.state_dict(),
    }
    folder.mkdir()
    save_atomically(state, folder / LAST)
    return load_trained(folder)


@pytest.mark.parametrize("scaling", ["triple", "relative"])
@pytest.mark.parametrize(
    ("seconds", "rate", "n_channels"), [(10.0, 44100, 1), (7.3, 48000, 2)]
)
def test_scores_of_a_file_are_those_of_its_clip_and_its_events_those_of_its_row(
    tmp_path, scaling, seconds, rate, n_channels
):
    """From the file on: decoded, resampled, mixed, padded, scaled, scored, connected, cut."""
    path, n_read = tmp_path / "a.wav", round(seconds * rate)
    sound = soundfile.read(SCENE, frames=2 * n_read, dtype="float32")[0]
    channels = np.stack([sound[:n_read], sound[n_read:]], axis=1)
    soundfile.write(path, channels[:, :n_channels], rate, "FLOAT")
    trained = run_of(tmp_path / "run", scaling)

    grid = trained.config.frontend
    subset = Subset(
        "validation", {"a.wav": [Event("Cat", 1.0, 2.0, 1.0)]}, {"a.wav": path}
    )
    features = build_features(tmp_path / "cache", "validation", subset.paths, grid)
    clips = evaluation_set(ClipDataset(subset, features, LABELS, grid, trained.scaling))
    (expected,) = network_scores(trained.network, clips.segments)
    (n_samples,) = clips.lengths(grid)

    info = describe(trained, "mine", PostConfig(), {}, {})
    model = Model(info, TorchEngine(trained.network), Candidate("torch", "fp32", "cpu"))
    trace = Trace()
    found = sorted(Detector(model).events(file_chunks(path), observer=trace))
    assert n_samples == round(seconds * 44100)
    n_frames = len(trace.scores)
    assert n_frames == -(-(1 + n_samples // 431) // 8)
    # The features of clips are kept in 16 bits.
    np.testing.assert_allclose(trace.scores, expected[:n_frames], atol=0.01)
    assert np.ptp(trace.scores) > 0.1  # else it would say nothing
    assert found == scores_to_events(
        trace.scores, LABELS, PostConfig(), grid, n_samples=n_samples
    )
    assert found
