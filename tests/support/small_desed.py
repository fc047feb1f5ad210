"""A DESED of a few short clips, each with a level of its own, and a front-end for it."""

import numpy as np
import soundfile

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.annotations.event_lists import write_names, write_strong, write_weak

SMALL = FrontendConfig(
    sample_rate=16000,
    n_fft=512,
    win_length=512,
    hop_length=160,
    n_mels=32,
    fmax=8000.0,
    segment_frames=64,
)
"""Segments of 0.64 s."""

SYNTHETIC = {
    "s0.wav": [Event("Dog", 0.1, 0.3, 1.0), Event("Cat", 0.2, 0.4, 1.0)],
    "s1.wav": [Event("Dog", 0.1, 0.2, 1.0), Event("Dog", 0.3, 0.5, 1.0)],
    "s2.wav": [Event("Dog", 0.0, 0.5, 1.0)],
    "s3.wav": [],
}
WEAK = {"w0.wav": ("Cat",), "w1.wav": ("Cat", "Dog"), "w2.wav": ("Cat",)}
UNLABELLED = [f"u{i}.wav" for i in range(5)]
VALIDATION = {"v0.wav": [Event("Cat", 0.1, 0.3, 1.0)], "v1.wav": []}

LISTS = {
    "synthetic": "train/synthetic",
    "weak": "train/weak",
    "unlabel_in_domain": "train/unlabel_in_domain",
    "validation": "validation/validation",
}


def write_desed(root, *, duration=0.5, suffix=".tsv"):
    """Write lists and clips; clip `i` of a set has a level of its own."""
    for each in ("train", "validation"):
        (root / "metadata" / each).mkdir(parents=True)
    lists = {
        name: root / "metadata" / f"{path}{suffix}" for name, path in LISTS.items()
    }
    write_strong(lists["synthetic"], SYNTHETIC)
    write_strong(lists["validation"], VALIDATION)
    write_weak(lists["weak"], WEAK)
    write_names(lists["unlabel_in_domain"], UNLABELLED)
    for folder, clips in (
        ("train/synthetic", SYNTHETIC),
        ("train/weak", WEAK),
        ("train/unlabel_in_domain", UNLABELLED),
        ("validation", VALIDATION),
    ):
        (root / "audio" / folder).mkdir(parents=True)
        for number, name in enumerate(clips):
            rng = np.random.default_rng([len(folder), number])
            samples = rng.uniform(-1, 1, int(duration * 16000)) * 0.1 * (number + 1)
            soundfile.write(root / "audio" / folder / name, samples, 16000, "FLOAT")
    return root
