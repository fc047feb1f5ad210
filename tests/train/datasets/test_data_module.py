"""Clips made ready: what a batch holds, what is counted, what a scaling is fitted to."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile
from small_desed import SMALL, SYNTHETIC, UNLABELLED, WEAK, write_desed
from torch.utils.data import DataLoader

from train.annotations.desed import Desed
from train.annotations.event_lists import write_strong
from train.config.train import TrainConfig
from train.datasets.clips import ClipDataset
from train.datasets.data_module import ClipSet, needed_sets
from train.datasets.scaling import Standardize, Triple

REPORT = TrainConfig(frontend=SMALL, batch_size=6)
BASELINE = TrainConfig(
    frontend=SMALL,
    batch_size=8,
    unlabelled=4,
    system="crnn",
    scaling="standardize",
    augment=False,
)


@pytest.fixture
def root(tmp_path):
    return write_desed(tmp_path / "desed")


@pytest.fixture
def load(root, tmp_path):
    def run(config, **options):
        return ClipSet.load(
            Desed.load(root), config, cache=tmp_path / "cache", **options
        )

    return run


def drawn(clips, n_batches, config, monkeypatch):
    """Which clips some batches hold, by their names, batch by batch."""
    real = ClipDataset.__getitem__

    def named(self, index):
        return {**real(self, index), "name": self.names[index]}

    monkeypatch.setattr(ClipDataset, "__getitem__", named)
    loader = DataLoader(
        clips.training, config.batch_size, sampler=range(n_batches * config.batch_size)
    )
    return list(loader)


def test_a_batch_of_the_report_is_half_synthetic_half_weak_and_every_clip_comes(
    load, monkeypatch
):
    batches = drawn(load(REPORT), 4, REPORT, monkeypatch)
    for batch in batches:
        assert batch["strong"].tolist() == 3 * [True] + 3 * [False]
        assert batch["labelled"].all()
        assert {name[0] for name in batch["name"][:3]} == {"s"}
        assert {name[0] for name in batch["name"][3:]} == {"w"}
    seen = {name for batch in batches for name in batch["name"]}
    assert seen == SYNTHETIC.keys() | WEAK.keys()


def test_a_batch_of_the_baseline_is_a_quarter_strong_a_quarter_weak_half_unlabelled(
    load, monkeypatch
):
    batches = drawn(load(BASELINE), 4, BASELINE, monkeypatch)
    for batch in batches:
        assert batch["strong"].tolist() == 2 * [True] + 6 * [False]
        assert batch["labelled"].tolist() == 4 * [True] + 4 * [False]
        assert [name[0] for name in batch["name"]] == list("sswwuuuu")
    seen = {name for batch in batches for name in batch["name"]}
    assert seen == SYNTHETIC.keys() | WEAK.keys() | set(UNLABELLED)


def test_events_are_counted_in_the_synthetic_clips_and_tags_in_the_weak_ones(load):
    clips = load(REPORT)
    assert clips.labels == ("Cat", "Dog")
    assert clips.strong_counts == [1, 4]
    assert clips.weak_counts == [3, 1]


def test_the_baselines_scaling_is_fitted_to_all_three_training_sets(load, tmp_path):
    clips = load(BASELINE)
    parts = [part for part, _ in clips.training._parts]
    frames = [part.features.read(name) for part in parts for name in part.names]
    assert len(frames) == len(SYNTHETIC) + len(WEAK) + len(UNLABELLED)
    assert clips.scaling == Standardize.fit(frames, top_db=SMALL.top_db)
    assert isinstance(load(REPORT).scaling, Triple)


@pytest.mark.parametrize("config", [REPORT, BASELINE], ids=["report", "baseline"])
def test_the_floor_of_a_scaling_is_that_of_the_front_end(load, config):
    floor = dataclasses.replace(SMALL, top_db=30.0)
    assert load(dataclasses.replace(config, frontend=floor)).scaling.top_db == 30.0


def test_held_out_clips_are_measured_on_never_learnt_from_nor_fitted_to(
    load, monkeypatch
):
    config = dataclasses.replace(BASELINE, held_out=0.3)
    clips = load(config)
    held = set(clips.held_out.strong.names)
    assert len(held) == 1  # of four
    assert clips.held_out.weak_segments.shape == (1, 64, 32)  # of three
    batches = drawn(clips, 6, config, monkeypatch)
    seen = {name for batch in batches for name in batch["name"]}
    assert seen & SYNTHETIC.keys() == SYNTHETIC.keys() - held
    assert seen >= set(UNLABELLED)
    (missing,) = WEAK.keys() - seen
    tags = [label in WEAK[missing] for label in clips.labels]
    assert clips.held_out.weak_tags.tolist() == [tags]
    reference = dict(zip(held, clips.held_out.strong.reference, strict=True))
    assert reference == {name: SYNTHETIC[name] for name in held}
    parts = [part for part, _ in clips.training._parts]
    frames = [part.features.read(name) for part in parts for name in part.names]
    assert len(frames) == 3 + 2 + 5
    assert clips.scaling == Standardize.fit(frames, top_db=SMALL.top_db)
    assert load(BASELINE).held_out is None


def test_what_is_held_out_depends_on_the_seed_of_the_run(load):
    held = {
        tuple(
            load(
                dataclasses.replace(BASELINE, held_out=0.5, seed=s)
            ).held_out.strong.names
        )
        for s in range(4)
    }
    assert len(held) > 1


def test_targets_are_rounded_as_the_settings_say(load, monkeypatch):
    for rounding, first in (("nearest", 1), ("down", 0)):
        config = dataclasses.replace(REPORT, target_rounding=rounding)
        clips = load(config)
        (part, _), *_ = clips.training._parts
        target = part[part.names.index("s2.wav")]["y"]  # Dog from 0 s to 0.5 s
        assert target[:, 1].tolist() == [1, 1, 1, 1, 1, 1, 0, 0]  # 0.5 is frame 6.25
        target = part[part.names.index("s1.wav")][
            "y"
        ]  # 0.1 s is frame 1.25, 0.2 is 2.5
        assert target[1, 1] == 1
        target = part[part.names.index("s0.wav")]["y"]  # 0.3 s is frame 3.75
        assert target[3, 1] == first


def test_clips_of_a_list_keep_their_names_and_lengths(load, root):
    noise = np.random.default_rng(0).uniform(-1, 1, 16000)
    soundfile.write(root / "audio" / "validation" / "v1.wav", noise[:3000], 8000)
    clips = load(REPORT)
    assert clips.validation.names == ("v0.wav", "v1.wav")
    assert clips.validation.n_samples == (8000, 6000)
    soundfile.write(root / "audio" / "validation" / "v1.wav", noise, 8000)
    # Two seconds, of which a segment holds 64 hops of 160 samples.
    assert load(REPORT).validation.n_samples == (8000, 64 * 160)


@pytest.mark.parametrize("config", [REPORT, BASELINE], ids=["report", "baseline"])
@pytest.mark.parametrize("name", ["synthetic", "validation", "weak"])
@pytest.mark.parametrize("loss", ["list", "clips", "unreadable"])
def test_a_set_without_clips_is_refused_with_where_it_was_looked_for(
    load, root, config, name, loss
):
    parent = "validation" if name == "validation" else "train"
    audio = root / "audio" / (name if name == "validation" else f"train/{name}")
    if loss == "list":
        (root / "metadata" / parent / f"{name}.tsv").unlink()
        looked = f"no list: looked in {root} for metadata/{parent}/{name}.tsv"
    elif loss == "clips":
        shutil.rmtree(audio)
        looked = f"no clips: looked in {root} for {audio.relative_to(root)}"
    else:
        for path in audio.iterdir():
            path.write_bytes(b"RIFF")
        looked = "no clip that can be read"
    with pytest.raises(ValueError, match=f"no {name} clips") as caught:
        load(config)
    assert looked in str(caught.value)
    assert ("--without" in str(caught.value)) is (name == "weak")


def test_a_missing_set_is_refused_before_the_features_of_others_are_computed(
    load, root, tmp_path
):
    shutil.rmtree(root / "audio" / "validation")
    with pytest.raises(ValueError, match="no validation clips"):
        load(REPORT)
    assert not (tmp_path / "cache").exists()


def test_a_link_that_leads_nowhere_is_a_missing_clip(load, root):
    clip = root / "audio" / "train" / "weak" / "w1.wav"
    clip.unlink()
    clip.symlink_to(root / "unmounted" / "w1.wav")
    assert Desed.load(root).subsets["weak"].missing == ["w1.wav"]
    used = {each.name: (each.n_used, each.n_listed) for each in load(REPORT).used}
    assert used["weak"] == (2, 3)


def test_unlabelled_clips_are_missed_by_the_baseline_alone(load, root):
    shutil.rmtree(root / "audio" / "train" / "unlabel_in_domain")
    assert len(load(REPORT).validation.segments) == 2
    with pytest.raises(ValueError, match="no unlabel_in_domain clips"):
        load(BASELINE)


def test_what_is_done_without_is_not_trained_on_even_where_it_is_there(
    load, monkeypatch
):
    batches = drawn(load(REPORT, without=["weak"]), 2, REPORT, monkeypatch)
    assert all(batch["strong"].all() for batch in batches)
    clips = load(REPORT, without=["weak"])
    assert clips.weak_counts == [0, 0]
    ((_, n_strong),) = clips.training._parts
    assert n_strong == REPORT.batch_size  # a round is a batch, all of it strong
    assert [each.name for each in load(REPORT, without=["weak"]).used] == [
        "synthetic",
        "validation",
    ]


def test_public_clips_are_loaded_only_when_they_are_asked_for(load, root):
    public = root / "audio" / "eval" / "public"
    public.mkdir(parents=True)
    (root / "metadata" / "eval").mkdir()
    shutil.copy(root / "audio" / "validation" / "v0.wav", public / "p0.wav")
    write_strong(
        root / "metadata" / "eval" / "public.tsv", {"p0.wav": SYNTHETIC["s0.wav"]}
    )
    assert load(REPORT).public is None
    assert "public" not in {each.name for each in load(REPORT).used}
    clips = load(REPORT, public=True)
    assert clips.public.names == ("p0.wav",)
    assert [each.n_used for each in clips.used if each.name == "public"] == [1]


def test_only_what_the_report_can_do_without_may_be_left_out():
    with pytest.raises(
        ValueError, match=r"--without must be one of weak, .*, not synthetic"
    ):
        needed_sets(REPORT, ["synthetic"])


def test_what_was_used_is_counted_after_the_clips_were_read(load, root):
    (root / "audio" / "train" / "weak" / "w1.wav").write_bytes(b"RIFF")
    (root / "audio" / "train" / "synthetic" / "s1.wav").unlink()
    used = {each.name: (each.n_used, each.n_listed) for each in load(REPORT).used}
    assert used == {"synthetic": (3, 4), "weak": (2, 3), "validation": (2, 2)}


def test_what_is_held_out_and_fitted_to_is_drawn_from_the_clips_that_are_there(
    load, root
):
    (root / "audio" / "train" / "weak" / "w1.wav").write_bytes(b"RIFF")
    for name in ("s0.wav", "s2.wav"):
        (root / "audio" / "train" / "synthetic" / name).unlink()
    clips = load(dataclasses.replace(BASELINE, held_out=0.5))
    held_out = clips.held_out  # a half of what is there, whatever is listed
    assert (len(held_out.strong.names), len(held_out.weak_tags)) == (1, 1)
    assert set(held_out.strong.names) < {"s1.wav", "s3.wav"}
    assert sum(clips.strong_counts) == (
        2 if held_out.strong.names == ("s3.wav",) else 0
    )
