"""All thresholds side by side give what each alone gives."""

import numpy as np
import pytest
from sounds import RATE, scene

from streamsed.calibration.threshold_levels import GRID, MAX_COLUMNS, ThresholdLevels
from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detector import Detector
from streamsed.inference.model_file import ModelInfo

POST = PostConfig(
    onset_threshold={"Speech": 0.4, "Dog": 0.6},
    offset_threshold={"Speech": 0.3, "Dog": 0.6},
    min_gap=0.4,
    smoothing={"Dog": 0.5},
)
STREAM = StreamConfig(step=0.25, latency=1.0, settle=10.0)


def lifecycle(detector, samples):
    updates = []
    for start in range(0, len(samples), RATE // 4):
        updates += detector.push_updates(samples[start : start + RATE // 4])
    updates += detector.flush_updates()
    return [(u.state, u.event.onset, u.event.offset, u.event.score) for u in updates], [
        u.event.label for u in updates
    ]


def test_each_threshold_behaves_as_alone(model):
    samples = scene(30.0)
    levels = ThresholdLevels.above(model.info, POST, ("Speech", "Dog"))
    together, names = lifecycle(levels.detector(model, STREAM), samples)
    n_events = 0
    for index, label in enumerate(levels.labels):
        for level, threshold in enumerate(levels.thresholds[index]):
            given = {"onset_threshold": {label: threshold}}
            post = POST.override(model.info.labels, given)
            alone, labels = lifecycle(
                Detector(model, stream=STREAM, post=post), samples
            )
            expected = [u for u, k in zip(alone, labels, strict=True) if k == label]
            name = f"{index}.{level}"
            assert expected == [
                u for u, k in zip(together, names, strict=True) if k == name
            ]
            n_events += len(expected)
    assert n_events > 50


def test_the_lowest_threshold_is_the_labels_own_and_none_is_below_it(model):
    levels = ThresholdLevels.above(model.info, POST, ("Dog",))
    assert levels.labels == ("Dog",)
    assert levels.thresholds == ((0.6, *(t for t in GRID if t > 0.6)),)
    assert levels.names == tuple(f"0.{i}" for i in range(len(levels.thresholds[0])))


@pytest.mark.parametrize("n_labels", [1, 10, 2000])
def test_a_model_of_many_labels_gets_fewer_thresholds_but_the_highest(n_labels):
    labels = tuple(f"Sound {i}" for i in range(n_labels))
    info = ModelInfo("some", labels, FrontendConfig(), StreamConfig(), PostConfig())
    levels = ThresholdLevels.above(info, PostConfig(), labels)
    assert len(levels.names) <= MAX_COLUMNS
    assert all(each[0] == 0.5 and each[-1] == GRID[-1] for each in levels.thresholds)
    assert all(np.diff(each).min() > 0 for each in levels.thresholds)
