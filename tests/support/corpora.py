"""Corpora for the tests: recordings whose content is known, and broken ones of every kind."""

import struct
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import soundfile
import sounds
import soxr

SCENE = Path(__file__).parents[2] / "examples" / "scene.flac"

BROKEN = {}  # name to a function that writes such a file


def broken(name):
    def register(function):
        BROKEN[name] = function
        return function

    return register


@broken("empty.wav")
def _(path):
    path.write_bytes(b"")


@broken("text.flac")
def _(path):
    path.write_text("this is no audio\n" * 50)


@broken("header-only.wav")
def _(path):
    soundfile.write(path, np.zeros(0, np.float32), sounds.RATE)


@broken("cut-off.wav")
def _(path):
    soundfile.write(path, sounds.scene(3, seed=1), sounds.RATE)
    path.write_bytes(path.read_bytes()[:-100_000])


@broken("cut-off.flac")
def _(path):
    soundfile.write(path, sounds.scene(3, seed=2), sounds.RATE)
    path.write_bytes(path.read_bytes()[:-20_000])


@broken("damaged.flac")
def _(path):
    soundfile.write(path, sounds.scene(5, seed=3), sounds.RATE)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)


@broken("nan.wav")
def _(path):
    samples = sounds.scene(2, seed=4)
    samples[1000] = np.nan
    soundfile.write(path, samples, sounds.RATE, subtype="FLOAT")


@broken("huge-values.wav")
def _(path):
    soundfile.write(path, np.full(5000, 1e30, np.float32), sounds.RATE, subtype="FLOAT")


@broken("zeros.mp3")
def _(path):
    path.write_bytes(bytes(30_000))


@broken("noise.ogg")
def _(path):
    path.write_bytes(np.random.default_rng(5).bytes(30_000))


@broken("no-channels.wav")
def _(path):
    soundfile.write(path, sounds.scene(1, seed=6), sounds.RATE)
    data = bytearray(path.read_bytes())
    data[22:24] = struct.pack("<H", 0)
    path.write_bytes(data)


@broken("locked.flac")
def _(path):
    path.symlink_to(path.with_name("nowhere.flac"))  # a link to nothing; root reads all


@cache
def scene():
    """Half a minute of household sounds, in which the shipped model finds events."""
    return soundfile.read(SCENE, dtype="float32")[0]


def write_corpus(folder, n_files, *, seconds=(0.5, 4.0), seed=0, n_broken=12):
    """Write recordings in folders, of several kinds, and broken ones among them."""
    rng = np.random.default_rng(seed)
    kinds = (("flac", 44100), ("wav", 44100), ("flac", 16000), ("ogg", 44100))
    for i in range(n_files - n_broken):
        suffix, rate = kinds[i % len(kinds)]
        path = folder / f"day{i % 7}" / f"{i:04d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        length = round(float(rng.uniform(*seconds)) * sounds.RATE)
        first = int(rng.integers(len(scene())))
        samples = np.roll(np.resize(scene(), max(length, len(scene()))), -first)[
            :length
        ]
        if i % 5 == 0:  # nothing is to be found in these
            samples = np.zeros_like(samples)
        soundfile.write(path, soxr.resample(samples, sounds.RATE, rate), rate)
    for i, (name, make) in enumerate(list(BROKEN.items())[:n_broken]):
        path = folder / f"day{i % 7}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    return folder


def rows(out, table, *, without=("wall_time",)):
    """The rows of a table as a sorted list, floats as they are; by plain pyarrow."""
    found = []
    for path in sorted((out / table).glob("*.parquet")):
        read = pq.read_table(path, partitioning=None)
        found += read.drop_columns(
            [n for n in without if n in read.column_names]
        ).to_pylist()
    return sorted(found, key=repr)
