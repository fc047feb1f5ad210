"""Make `scene.flac` and `scene.tsv`, the half minute that `make demo` listens to.

    python examples/make_scene.py SOUNDBANK

Dog, speech and clock are recordings under CC0 and CC BY (ATTRIBUTION.md); alarm
and toothbrush are synthesised. None was trained on: all are of the validation split.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 44100
BED = "background/clock_tick/esc10_fs-209698_01.flac"
SOUNDS = [  # seconds, gain in dB, file
    (1.5, 0, "foreground/Dog/esc10_fs-118964_01.flac"),
    (4.2, -3, "foreground/Speech/librispeech_libri-4853_01.flac"),
    (9.0, -8, "foreground/Alarm_bell_ringing/synthetic_synth-twin-28_01.flac"),
    (
        14.6,
        -10,
        "foreground/Electric_shaver_toothbrush/synthetic_synth-toothbrush-44_01.flac",
    ),
    (22.3, -3, "foreground/Speech/librispeech_libri-3879_01.flac"),
    (25.7, 0, "foreground/Dog/esc10_fs-30226_01.flac"),
]
REACH = 0.15  # seconds; shorter pauses do not split an event


def audible(sound: np.ndarray) -> list[tuple[float, float]]:
    """Return when a clean recording is within 35 dB of its loudest, in seconds."""
    width = RATE // 100
    blocks = sound[: len(sound) // width * width].reshape(-1, width)
    loud = np.flatnonzero((blocks**2).mean(1) > (blocks**2).mean(1).max() * 10**-3.5)
    cuts = np.flatnonzero(np.diff(loud) * width > REACH * RATE)
    starts, ends = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, -1]] + 1
    return [
        (s * width / RATE, e * width / RATE) for s, e in zip(starts, ends, strict=True)
    ]


def main(bank: Path, here: Path) -> None:
    bed, _ = soundfile.read(bank / BED)
    scene = np.resize(bed * 10 ** (-30 / 20), 30 * RATE)
    rows = ["filename\tonset\toffset\tevent_label"]
    for onset, gain, file in SOUNDS:
        sound, _ = soundfile.read(bank / file)
        scene[int(onset * RATE) :][: len(sound)] += 0.5 * sound * 10 ** (gain / 20)
        for start, end in audible(sound):
            times = f"{onset + start:.3f}\t{onset + end:.3f}"
            rows.append(f"scene.flac\t{times}\t{Path(file).parent.name}")
    soundfile.write(here / "scene.flac", scene, RATE, subtype="PCM_16")
    (here / "scene.tsv").write_text("\n".join(rows) + "\n")


main(Path(sys.argv[1]), Path(__file__).parent)
