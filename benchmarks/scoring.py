"""Scoring against sed_eval, and examples of recorded clips against their audio.

In turns, in one process and on one thread; medians. The lists are made up: 1000 clips of
six events, of which a system misses some and moves the others.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.pipeline.frontend import scale_segment
from train.annotations.desed import Subset
from train.datasets.clip_features import log_mel
from train.datasets.clips import ClipDataset
from train.datasets.feature_cache import build_features
from train.datasets.scaling import Triple
from train.metrics.criteria import event_counts, event_f1

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # dcase_util, under it, imports pkg_resources
    from sed_eval.sound_event import EventBasedMetrics

LABELS = tuple("abcdefghij")


def medians(functions: Mapping[str, Callable[[], object]], turns: int) -> list[str]:
    """Time functions in turns; give a row of milliseconds for each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - start))
    return [f"| {name} | {statistics.median(t):.3g} |" for name, t in times.items()]


def make_lists(rng: np.random.Generator) -> tuple[list[list[Event]], list[list[Event]]]:
    """Draw the clips of a reference, and what a system makes of them."""
    reference, estimated = [], []
    for _ in range(1000):
        labels = [LABELS[index] for index in rng.integers(10, size=6)]
        onsets = rng.uniform(1, 9, 6)
        times = onsets, onsets + rng.uniform(0.3, 3, 6), rng.normal(0, 0.1, 6)
        events = list(zip(labels, *(each.tolist() for each in times), strict=True))
        reference.append([Event(label, a, b, 1.0) for label, a, b, _ in events])
        found = events[rng.integers(4) :]
        estimated.append([Event(label, a + d, b, 1.0) for label, a, b, d in found])
    return reference, estimated


def score_by_sed_eval(
    reference: list[list[Event]], estimated: list[list[Event]]
) -> object:
    metric = EventBasedMetrics(list(LABELS), t_collar=0.2, percentage_of_length=0.2)
    for name, clips in enumerate(zip(reference, estimated, strict=True)):
        rows = (
            [
                {
                    "filename": str(name),
                    "event_label": event.label,
                    "onset": event.onset,
                    "offset": event.offset,
                }
                for event in clip
            ]
            for clip in clips
        )
        metric.evaluate(*rows)
    return metric.results()


def scoring() -> str:
    lists = make_lists(np.random.default_rng(0))
    counts = event_counts(*lists, LABELS)
    rows = medians(
        {
            "event F1 of 1000 clips": lambda: event_f1(*lists, LABELS),
            "the same by sed_eval": lambda: score_by_sed_eval(*lists),
            "1000 resamples of the clips": lambda: counts.bootstrap(),
        },
        turns=5,
    )
    return "\n".join(["## Scoring", "", "| | ms |", "|---|---|", *rows])


def clips() -> str:
    config = FrontendConfig()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = {f"{index}.wav": folder / f"{index}.wav" for index in range(16)}
        for path in paths.values():
            soundfile.write(path, 0.1 * rng.standard_normal(441_000), 44_100)
        built = build_features(folder / "cache", "clips", paths, config)
        truth = {name: [Event("a", 1.0, 2.0, 1.0)] for name in paths}
        dataset = ClipDataset(
            Subset("clips", truth, paths),
            built,
            LABELS,
            config,
            Triple(top_db=config.top_db),
        )

        def from_audio(path: Path) -> object:
            samples, _ = soundfile.read(path, dtype="float32")
            return scale_segment(log_mel(samples, config), config)

        rows = medians(
            {
                "16 examples from the cache": lambda: [dataset[i] for i in range(16)],
                "16 examples from audio": lambda: [
                    from_audio(p) for p in paths.values()
                ],
            },
            turns=20,
        )
    return "\n".join(
        ["## Examples of recorded clips", "", "| | ms |", "|---|---|", *rows]
    )


def sections() -> Iterator[str]:
    yield scoring()
    yield clips()


if __name__ == "__main__":
    for section in sections():
        print(section)
