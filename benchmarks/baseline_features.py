"""How far the baseline's features here are from the original's, and which choice does it.

The original takes magnitudes under a Hamming window, reflects the clip at its ends and
has no area norm; here the runtime's front-end is used, which takes powers under a Hann
window, with zeros around the clip and an area norm. Both are standardised by band, so the
figures are in deviations: the root mean square of the difference, over soundscapes mixed
from a bank. Each choice is undone alone, then all together.

    python -m benchmarks.baseline_features BANK
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from train.config.mixing import EVALUATION_MIXING
from train.config.preset import load_preset
from train.datasets.clip_features import log_mel
from train.datasets.scaling import Standardize
from train.mixing.mixer import Mixer
from train.mixing.soundbank import Soundbank

N_CLIPS = 40
GRID = load_preset("baseline_crnn").frontend
OURS = {"window": "hann", "pad_mode": "constant", "power": 2.0, "norm": "slaney"}
ORIGINAL = {"window": "hamming", "pad_mode": "reflect", "power": 1.0, "norm": None}
Frames = NDArray[np.float32]


def features(samples: NDArray[np.float32], settings: dict[str, Any]) -> Frames:
    """Compute decibels, (n_frames, n_mels), by librosa."""
    window = settings["window"]
    spectrum = librosa.stft(
        samples,
        n_fft=GRID.n_fft,
        hop_length=GRID.hop_length,
        window=np.hamming(GRID.n_fft) if window == "hamming" else window,
        pad_mode=settings["pad_mode"],
    )
    mel = librosa.feature.melspectrogram(
        S=np.abs(spectrum) ** settings["power"],
        sr=GRID.sample_rate,
        n_mels=GRID.n_mels,
        fmin=GRID.fmin,
        fmax=GRID.fmax,
        norm=settings["norm"],
    )
    to_db = librosa.power_to_db if settings["power"] == 2.0 else librosa.amplitude_to_db
    decibels: Frames = to_db(mel, top_db=None).T[: GRID.segment_frames]
    return np.pad(
        decibels,
        ((0, GRID.segment_frames - len(decibels)), (0, 0)),
        constant_values=10 * np.log10(GRID.amin),
    )


def difference(ones: Sequence[Frames], others: Sequence[Frames]) -> float:
    """Root mean square of the difference of two sets of features, each standardised."""
    first, second = (Standardize.fit(each, top_db=80.0) for each in (ones, others))
    squares = [
        np.mean((first(a) - second(b)) ** 2) for a, b in zip(ones, others, strict=True)
    ]
    return float(np.sqrt(np.mean(squares)))


def main() -> None:
    """Print a row for each choice."""
    mixer = Mixer(Soundbank.load(Path(sys.argv[1]), split="train"), EVALUATION_MIXING)
    clips = [mixer.mix(np.random.default_rng([0, i])).samples for i in range(N_CLIPS)]
    ours = [log_mel(clip, GRID) for clip in clips]
    rows = {"as here, by librosa": OURS}
    rows |= {f"{k} as the original's": OURS | {k: v} for k, v in ORIGINAL.items()}
    rows["all four"] = ORIGINAL
    for name, settings in rows.items():
        theirs = [features(clip, settings) for clip in clips]
        print(f"{name:30} {difference(ours, theirs):.3f}")


if __name__ == "__main__":
    main()
