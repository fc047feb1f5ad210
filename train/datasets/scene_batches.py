"""Batches of segments cut from scenes, made on the device that trains.

Processes mix scenes (`SceneDataset`); the device does the rest, a few scenes at a time:
rooms, log-mel, cutting, another microphone's colour, the floor and the scaling. A segment
starts at any score frame of its scene, so "now", its right edge, falls anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from streamsed.config import FrontendConfig
from train.config.train import TrainConfig
from train.datasets.clip_features import Example, score_targets
from train.datasets.device_log_mel import DeviceLogMel
from train.mixing.scenes import Scene
from train.mixing.soundbank import Soundbank

ROOM = 0.3
"""Probability that the reverberation of a room is added to a whole scene."""
COLOUR = 0.6
"""Probability of another microphone's frequency response."""
DROP = 0.3
"""Probability that a stretch of mel bands is silenced."""
N_KNOTS = 6
PREFETCH = 2
"""Batches of scenes that each process has ready."""


def scene_frames(config: TrainConfig) -> int:
    """Return how many frames a scene has: a multiple of those of a score frame."""
    frontend, duration = config.frontend, config.scenes.duration
    n_frames = round(duration * frontend.sample_rate / frontend.hop_length)
    return n_frames // frontend.subsampling * frontend.subsampling


def scene_samples(config: TrainConfig) -> int:
    """Return how many samples those frames take."""
    return (scene_frames(config) - 1) * config.frontend.hop_length


class SceneSource(Protocol):
    """What draws scenes; see `train.mixing.scenes.SceneMixer`."""

    @property
    def bank(self) -> Soundbank:
        """Its foreground has the labels of the events."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Other kinds of sounds that are learnt by name."""

    def mix(self, rng: np.random.Generator) -> Scene:
        """Draw one scene."""


class SceneDataset(Dataset[Example]):
    """Endless scenes, drawn by the seed and the index.

    Parameters
    ----------
    mixer : SceneSource
        Draws them.
    config : TrainConfig
        Front-end and seed.
    """

    def __init__(self, mixer: SceneSource, config: TrainConfig) -> None:
        self.mixer, self.config = mixer, config

    def __getitem__(self, index: int) -> Example:
        """Return `samples` float32 (n,) and targets `y` (n / 8, K), `others` (n / 8, A)."""
        config = self.config.frontend
        scene = self.mixer.mix(np.random.default_rng([self.config.seed, index]))
        n_score_frames = scene_frames(self.config) // config.subsampling

        def target(events: list[object], names: tuple[str, ...]) -> Tensor:
            return torch.from_numpy(
                score_targets(
                    events,  # type: ignore[arg-type]
                    names,
                    n_score_frames,
                    config.score_frame_duration,
                ).astype(np.uint8)
            )

        return {
            "samples": torch.from_numpy(scene.samples[: scene_samples(self.config)]),
            "y": target(list(scene.events), self.mixer.bank.labels),
            "others": target(list(scene.others), self.mixer.kinds),
        }


class SharedScenes:
    """Memory that processes mix into and the device is filled from, for all of a run.

    A batch is 155 MB. As a data loader sends it, it is written to memory that is new to both
    sides, and finding its pages takes the system a third of the time of mixing.

    Parameters
    ----------
    n_workers, n_scenes, n_samples : int
        Processes, scenes of a batch and samples of a scene.
    """

    def __init__(self, n_workers: int, n_scenes: int, n_samples: int) -> None:
        # A process is PREFETCH batches ahead of the one being copied; one more, to be safe.
        self._samples = torch.empty(n_workers, PREFETCH + 2, n_scenes, n_samples)
        self._samples.share_memory_()  # type: ignore[no-untyped-call]
        self._n_sent = 0  # by this process

    def collate(self, scenes: Sequence[Example]) -> Example:
        """Put a batch together in a process that mixes, its samples in its next place."""
        info = get_worker_info()
        if info is None:
            return default_collate(list(scenes))  # type: ignore[no-any-return]
        place = self._n_sent % self._samples.shape[1]
        self._n_sent += 1
        for target, scene in zip(self._samples[info.id, place], scenes, strict=True):
            target.copy_(scene["samples"])
        rest = [{k: v for k, v in each.items() if k != "samples"} for each in scenes]
        return {"place": torch.tensor([info.id, place]), **default_collate(rest)}

    def to_device(self, batch: Example, device: torch.device) -> Example:
        """Copy a batch and its samples, which later batches overwrite, to the device."""
        if "place" in batch:
            worker, place = batch.pop("place").tolist()
            batch["samples"] = self._samples[worker, place]
        return {k: v.to(device, non_blocking=True) for k, v in batch.items()}


class SceneBatches:
    """Batches of segments, endless.

    Parameters
    ----------
    dataset : SceneDataset
        The scenes.
    device : torch.device
        What trains.
    n_workers : int
        Processes that mix.
    first : int
        The first scene. A resumed run gets other segments than an uninterrupted one: which
        variants a mixing process keeps depends on what it has mixed.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        device: torch.device,
        *,
        n_workers: int,
        first: int = 0,
    ) -> None:
        self._config, self._device = dataset.config, device
        self._log_mel = DeviceLogMel(dataset.config.frontend, device)
        self._random = torch.Generator().manual_seed(dataset.config.seed + first)
        n_scenes = -(-dataset.config.batch_size // dataset.config.scenes.segments)
        self._shared = SharedScenes(n_workers, n_scenes, scene_samples(dataset.config))
        self._loader = DataLoader(
            dataset,
            batch_size=n_scenes,
            sampler=range(first, 2**40),
            num_workers=n_workers,
            prefetch_factor=PREFETCH if n_workers else None,
            collate_fn=self._shared.collate,
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[Example]:
        """Yield `x` (B, 1, T, F), `y` (B, H, K), `others` (B, H, A) and `strong` (B,)."""
        for batch in self._loader:
            yield self.cut(self._shared.to_device(batch, self._device))

    @torch.no_grad()
    def cut(self, scenes: Example) -> Example:
        """Cut a batch of segments from scenes on the device."""
        config, frontend = self._config, self._config.frontend
        samples = reverberate(scenes["samples"], frontend.sample_rate, self._random)
        frames = self._log_mel(samples)
        n_scenes, n_score_frames = scenes["y"].shape[:2]
        height, factor = frontend.segment_score_frames, frontend.subsampling
        scene = torch.arange(config.batch_size) % n_scenes
        start = torch.randint(
            n_score_frames - height + 1, (config.batch_size,), generator=self._random
        )
        segments = torch.stack(
            [
                frames[i, s * factor : (s + height) * factor]
                for i, s in zip(scene.tolist(), start.tolist(), strict=True)
            ]
        )
        rows = (start[:, None] + torch.arange(height)).to(self._device)
        scene = scene.to(self._device)[:, None]
        y, others = scenes["y"][scene, rows], scenes["others"][scene, rows]
        if config.augment:
            recolour(segments, self._random)
        pad(segments, y, others, config, self._random)
        x = relative(segments, frontend)
        if config.augment:
            drop_bands(x, self._random)
        return {
            "x": x[:, None],
            "y": y.float(),
            "others": others.float(),
            "strong": torch.ones(len(x), dtype=torch.bool, device=self._device),
        }


def relative(segments: Tensor, config: FrontendConfig) -> Tensor:
    """Scale decibels (B, T, F) as `train.datasets.scaling.Relative` does."""
    highest = segments.amax(dim=(1, 2), keepdim=True)
    scaled = (1.0 + (segments - highest) / config.top_db).clamp(min=0.0)
    return scaled * (highest > segments.amin(dim=(1, 2), keepdim=True))


def pad(
    segments: Tensor,
    y: Tensor,
    others: Tensor,
    config: TrainConfig,
    random: torch.Generator,
) -> None:
    """Let some segments be the first seconds of a stream: silence after them, in place."""
    factor, height = config.frontend.subsampling, y.shape[1]
    silence = 10.0 * np.log10(config.frontend.amin)
    padded = torch.nonzero(_chance(config.scenes.padded, len(y), random))
    for i in padded[:, 0].tolist():
        kept = int(torch.randint(4, height, (1,), generator=random))
        segments[i, kept * factor :] = silence
        y[i, kept:] = 0
        others[i, kept:] = 0


def reverberate(samples: Tensor, sample_rate: int, random: torch.Generator) -> Tensor:
    """Put some scenes into rooms: a direct sound and noise that dies away.

    Reverberation times are 0.15 to 0.8 s; the tail holds -15 to 6 dB of the direct
    sound's energy, the most where a sound comes from the far end.
    """
    chosen = torch.nonzero(_chance(ROOM, len(samples), random))[:, 0]
    if not len(chosen):
        return samples
    device = samples.device
    decay = 0.15 + 0.65 * torch.rand(len(chosen), 1, generator=random)
    level = 10.0 ** ((-15.0 + 21.0 * torch.rand(len(chosen), 1, generator=random)) / 20)
    time = torch.arange(round(0.8 * sample_rate)) / sample_rate
    tail = torch.randn(len(chosen), len(time), generator=random)
    tail *= 10.0 ** (-3.0 * time / decay) * (time < decay)
    tail *= level / tail.square().sum(1, keepdim=True).sqrt()
    tail[:, 0] = 1.0
    n_fft = 1 << (samples.shape[1] + tail.shape[1] - 1).bit_length()
    spectrum = torch.fft.rfft(samples[chosen.to(device)], n_fft)
    spectrum *= torch.fft.rfft(tail.to(device), n_fft)
    samples = samples.clone()
    samples[chosen.to(device)] = torch.fft.irfft(spectrum, n_fft)[:, : samples.shape[1]]
    return samples


def recolour(segments: Tensor, random: torch.Generator) -> None:
    """Filter segments (B, T, F) in place, as other microphones would.

    In decibels a filter is a sum: a line through random knots, at times a low-pass.
    """
    n, n_mels = len(segments), segments.shape[2]
    knots = 12.0 * torch.rand(n, 1, N_KNOTS, generator=random) - 6.0
    gain = torch.nn.functional.interpolate(
        knots, n_mels, mode="linear", align_corners=True
    )
    gain = gain[:, 0] * _chance(COLOUR, n, random)[:, None]
    cutoff = 0.45 + 0.55 * torch.rand(n, 1, generator=random)
    above = (torch.linspace(0.0, 1.0, n_mels) - cutoff) * 400.0
    gain -= above.clamp(0.0, 60.0) * _chance(0.2, n, random)[:, None]
    segments += gain[:, None].to(segments.device)


def drop_bands(x: Tensor, random: torch.Generator) -> None:
    """Silence up to an eighth of the mel bands of some scaled segments, in place."""
    n_mels = x.shape[2]
    for i in torch.nonzero(_chance(DROP, len(x), random))[:, 0].tolist():
        width = int(torch.randint(n_mels // 8 + 1, (1,), generator=random))
        first = int(torch.randint(n_mels - width + 1, (1,), generator=random))
        x[i, :, first : first + width] = 0.0


def _chance(probability: float, n: int, random: torch.Generator) -> Tensor:
    return torch.rand(n, generator=random) < probability
