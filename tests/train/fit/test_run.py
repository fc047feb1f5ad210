"""What a run on recorded clips is put together from."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import torch
from small_desed import SMALL, write_desed

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.annotations.desed import Desed
from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.data_module import ClipSet
from train.fit import run as run_module
from train.fit.checkpoint import LAST
from train.fit.losses import Criterion, class_weights
from train.fit.mean_teacher import MeanTeacher
from train.fit.run import (
    RunOptions,
    fit_on_clips,
    fit_on_scenes,
    fit_on_soundbank,
    make_objective,
)
from train.fit.trainer import Trainer
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank

CONFIG = TrainConfig(
    frontend=SMALL, batch_size=4, alpha=0.07, network=NetworkConfig(width=8), threads=1
)


def test_each_kind_of_clip_gets_the_weights_of_its_own_counts():
    criterion = make_objective(CONFIG, [1, 4], [3, 2])
    assert isinstance(criterion, Criterion)
    assert torch.equal(criterion.strong_weights, class_weights([1, 4]))
    assert torch.equal(criterion.weak_weights, class_weights([3, 2]))
    assert criterion.alpha == 0.07


def test_the_consistency_of_the_baseline_rises_over_the_part_of_the_run_that_is_asked_for():
    baseline = dataclasses.replace(CONFIG, system="crnn")
    half, sooner = (
        make_objective(each, [1, 4], [3, 2])
        for each in (baseline, dataclasses.replace(baseline, ramp=0.2))
    )
    assert isinstance(half, MeanTeacher)
    assert isinstance(sooner, MeanTeacher)
    assert (half.ramp, sooner.ramp) == (0.5, 0.2)


def test_a_run_learns_from_the_training_clips_and_is_measured_on_the_others(
    tmp_path, monkeypatch
):
    config = dataclasses.replace(CONFIG, system="crnn", held_out=0.3)
    clips = ClipSet.load(
        Desed.load(write_desed(tmp_path / "desed")), config, cache=tmp_path / "cache"
    )
    public = dataclasses.replace(clips.validation)  # nothing is chosen by these
    clips = dataclasses.replace(clips, public=public)
    seen = {}

    class Trainer:
        def __init__(self, *given, **options):
            seen.update(given=given, **options)

        def fit(self, dataset, validation, **options):
            seen.update(dataset=dataset, validation=validation, **options)

    monkeypatch.setattr(run_module, "Trainer", Trainer)
    monkeypatch.setattr(run_module, "_prepare", lambda: None)
    monkeypatch.setattr(
        run_module, "make_objective", lambda _, *counts: np.array(counts)
    )
    fit_on_clips(config, clips, RunOptions(tmp_path / "run"))
    assert seen["dataset"] is clips.training
    assert seen["validation"] is clips.validation
    assert seen["held_out"] is clips.held_out
    assert seen["scaling"] is clips.scaling
    assert seen["given"][:2] == (config, clips.labels)
    assert seen["given"][2].tolist() == [clips.strong_counts, clips.weak_counts]
    assert clips.strong_counts != clips.weak_counts


def test_runs_of_equal_seeds_begin_alike_and_see_the_same_batches_whatever_their_alpha(
    tmp_path,
):
    desed = Desed.load(write_desed(tmp_path / "desed"))

    def begin(**changes):
        """Return the first weights of a run, and its first batches."""
        config = dataclasses.replace(CONFIG, **changes)
        clips = ClipSet.load(desed, config, cache=tmp_path / "cache")
        objective = make_objective(config, clips.strong_counts, clips.weak_counts)
        learner = Trainer(config, clips.labels, objective, tmp_path / "run").learner
        first = next(learner.network.parameters()).detach()
        return first, torch.stack([clips.training[index]["x"] for index in range(16)])

    for one, same, other in zip(
        *(begin(alpha=0.1), begin(alpha=0.01), begin(alpha=0.1, seed=1)), strict=True
    ):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


@pytest.mark.parametrize("way", ["fresh", "init", "resume"])
def test_a_run_begins_as_its_options_say(tmp_path, monkeypatch, way):
    clips = ClipSet.load(
        Desed.load(write_desed(tmp_path / "desed")), CONFIG, cache=tmp_path / "cache"
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / LAST).touch()
    if way == "resume":
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / LAST).touch()
    calls = []

    class Trainer:
        def __init__(self, *given, **options):
            pass

        def begin_with(self, run):
            calls.append(("init", run))

        def resume(self):
            calls.append(("resume",))

        def fit(self, *_, **__):
            calls.append(("fit",))

    monkeypatch.setattr(run_module, "Trainer", Trainer)
    monkeypatch.setattr(run_module, "_prepare", lambda: None)
    options = {"fresh": {}, "init": {"init": other}, "resume": {"resume": True}}[way]
    fit_on_clips(CONFIG, clips, RunOptions(tmp_path / "run", **options))
    first = {"fresh": [], "init": [("init", other)], "resume": [("resume",)]}[way]
    assert calls == [*first, ("fit",)]


@pytest.fixture
def fitted(monkeypatch):
    """What a run is given, without training it."""
    seen = {}

    class Trainer:
        def __init__(self, _config, labels, objective, *_, scaling, **__):
            seen.update(labels=labels, objective=objective, scaling=scaling)

        def resume(self):
            pass

        def fit(self, dataset, validation=None, **_):
            seen.update(dataset=dataset, validation=validation)

    monkeypatch.setattr(run_module, "Trainer", Trainer)
    monkeypatch.setattr(run_module, "_prepare", lambda: None)
    monkeypatch.setattr(run_module, "N_COUNTED", 1)
    return seen


def test_a_label_that_is_not_in_the_validation_split_keeps_its_column(tmp_path, fitted):
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    manifest = bank / "manifest.csv"
    rows = manifest.read_text().splitlines()
    rows = [row for row in rows if not re.search("Hum.*validation", row)]
    manifest.write_text("\n".join(rows))
    config = TrainConfig()
    fit_on_soundbank(config, bank, RunOptions(tmp_path / "run"), n_validation=1)
    assert "Humming" in fitted["labels"]
    assert fitted["validation"].labels == fitted["labels"]


def test_banks_are_read_at_the_rate_of_the_front_end(tmp_path, fitted):
    bank, run = write_bank(tmp_path / "bank", n_recordings=5), tmp_path / "run"
    slow = FrontendConfig(sample_rate=22050, fmax=11025.0, segment_frames=512)
    config = TrainConfig(frontend=slow)
    fit_on_soundbank(config, bank, RunOptions(run), n_validation=1)
    assert fitted["dataset"].mixer.bank.sample_rate == 22050
    assert fitted["dataset"].mixer.mix(np.random.default_rng(0)).samples.size == 220500
    scenes = load_preset("default", frontend=slow.to_dict())
    fit_on_scenes(scenes, [bank], RunOptions(run))
    assert fitted["dataset"].mixer.bank.sample_rate == 22050


@pytest.mark.parametrize("preset", ["nec_alpha_0.01", "default"])
def test_a_bank_is_scaled_above_the_floor_that_the_runtime_has(
    preset, tmp_path, fitted
):
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    config = load_preset(preset, frontend={"top_db": 30.0})
    if preset == "default":
        fit_on_scenes(config, [bank], RunOptions(tmp_path / "run"))
    else:
        options = RunOptions(tmp_path / "run")
        fit_on_soundbank(config, bank, options, n_validation=0)
    assert (fitted["scaling"].name, fitted["scaling"].top_db) == (config.scaling, 30.0)


def test_what_is_learnt_from_a_bank_weighs_as_the_settings_say(tmp_path, fitted):
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    options, weights = RunOptions(tmp_path / "run"), ["alpha=0.3"]
    config = load_preset("nec_alpha_0.01", weights)
    fit_on_soundbank(config, bank, options, n_validation=0)
    assert fitted["objective"].alpha == 0.3
    weights += ["auxiliary=0.7", "edge=2.5"]
    fit_on_scenes(load_preset("default", weights), [bank], options)
    learnt = fitted["objective"]
    assert (learnt.alpha, learnt.auxiliary, learnt.edge) == (0.3, 0.7, 2.5)
    assert learnt.n_edge == 13  # score frames of a second


def test_scenes_are_mixed_from_split_train_of_each_bank_that_has_one(tmp_path, fitted):
    first = write_bank(tmp_path / "first", n_recordings=5)
    second = tmp_path / "second"
    shutil.copytree(first, second)
    (second / "manifest.csv").unlink()
    n_train = Soundbank.load(first, split="train").n_clips
    n_all = Soundbank.load(first).n_clips
    config = load_preset("default")
    for everything, n_clips in ((False, n_train + n_all), (True, 2 * n_all)):
        options = RunOptions(tmp_path / "run")
        fit_on_scenes(config, [first, second], options, everything=everything)
        assert fitted["dataset"].mixer.bank.n_clips == n_clips


def test_a_run_on_a_bank_does_not_go_on_with_recordings_that_were_kept_apart(
    tmp_path, fitted
):
    bank, run = write_bank(tmp_path / "bank", n_recordings=5), tmp_path / "run"
    config, plain = load_preset("default"), TrainConfig()
    fit_on_scenes(config, [bank], RunOptions(run))
    (run / LAST).touch()
    again = RunOptions(run, resume=True)
    fit_on_scenes(config, [bank], again)
    wanted = "was begun with other backgrounds and sounds; resume with the same banks"
    with pytest.raises(ValueError, match=wanted):
        fit_on_scenes(config, [bank], again, everything=True)
    left_out = {bank: {"foreground/Humming/00.flac"}}
    with pytest.raises(ValueError, match="was begun with other sounds; resume"):
        fit_on_scenes(config, [bank], again, leave_out=left_out)
    layouts = [[Event("Humming", 0.0, 3.0, 1.0)]]
    with pytest.raises(ValueError, match="was begun with other lists; resume"):
        fit_on_scenes(config, [bank], again, layouts=layouts)
    (bank / "manifest.csv").unlink()
    with pytest.raises(ValueError, match=wanted):
        fit_on_soundbank(plain, bank, again, n_validation=1)


@pytest.mark.parametrize("part", ["foreground/Humming", "background"])
def test_a_run_does_not_go_on_with_another_recording_of_the_same_name(
    part, tmp_path, fitted
):
    bank, run = write_bank(tmp_path / "bank", n_recordings=5), tmp_path / "run"
    config, again = load_preset("default"), RunOptions(run)
    fit_on_scenes(config, [bank], again, everything=True)
    (run / LAST).touch()
    again = RunOptions(run, resume=True)
    path = min((bank / part).rglob("*.flac"))
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[::-1], rate)
    with pytest.raises(ValueError, match="was begun with other audio; resume with"):
        fit_on_scenes(config, [bank], again, everything=True)
    record = json.loads((run / "bank.json").read_text())
    del record["audio"]  # as before records had it
    (run / "bank.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="was begun with other backgrounds and sounds"):
        fit_on_scenes(config, [bank], again)
    fit_on_scenes(config, [bank], again, everything=True)
    soundfile.write(path, samples, rate)
    with pytest.raises(ValueError, match="was begun with other audio; resume with"):
        fit_on_scenes(config, [bank], again, everything=True)


def test_a_run_whose_record_of_the_bank_is_lost_or_damaged(tmp_path, fitted):
    bank, run = write_bank(tmp_path / "bank", n_recordings=5), tmp_path / "run"
    config = load_preset("default")
    run.mkdir()
    (run / LAST).touch()  # of a version that kept no record
    again = RunOptions(run, resume=True)
    fit_on_scenes(config, [bank], again)
    (run / "bank.json").write_text("[")
    with pytest.raises(
        ValueError, match=r"bank\.json: damaged, so that it does not say"
    ):
        fit_on_scenes(config, [bank], again)


def test_a_beginning_that_is_missing_or_contradicted_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"--init .*none: no trained run"):
        RunOptions(tmp_path / "run", init=tmp_path / "none")
    with pytest.raises(ValueError, match="--init and --resume cannot be combined"):
        RunOptions(tmp_path / "run", init=tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match=r"--run .*run: no run to continue"):
        RunOptions(tmp_path / "run", resume=True)
