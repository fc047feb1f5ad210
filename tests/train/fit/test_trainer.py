"""The training loop: resuming, the schedule, checkpoints, and that it learns."""

import contextlib
import csv
import dataclasses
import math

import numpy as np
import pytest
import torch
from bars import CONFIG, LABELS, TINY, Bars, make_trainer

from streamsed.config import FrontendConfig
from streamsed.events import Event
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.datasets.evaluation_set import EvaluationSet
from train.datasets.scaling import Single
from train.evaluation.scoring import network_scores
from train.fit import trainer as loop
from train.fit.checkpoint import LAST, load_best, load_trained, save_atomically
from train.fit.losses import Criterion
from train.fit.mean_teacher import MeanTeacher
from train.fit.trainer import Trainer
from train.fit.weight_average import update_average
from train.metrics.criteria import event_f1


def curve(folder):
    """What was logged, but for the clock."""
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if k not in ("minutes", "waited")} for row in rows
    ]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = make_trainer(tmp_path / "whole")
    whole.fit(Bars(), n_workers=0)
    broken = make_trainer(tmp_path / "broken")
    with pytest.raises(InterruptedError):
        broken.fit(Bars(fails_at=12), n_workers=0, save_every=0)
    resumed = make_trainer(tmp_path / "broken")
    resumed.resume()
    assert resumed.clock.step == 3
    resumed.fit(Bars(), n_workers=0)
    assert resumed.clock.step == whole.clock.step == 6
    for first, second in [
        (whole.learner.network, resumed.learner.network),
        (whole.learner.average, resumed.learner.average),
    ]:
        theirs = second.state_dict()
        assert all(torch.equal(v, theirs[k]) for k, v in first.state_dict().items())


def test_a_run_begins_with_the_average_of_another(tmp_path):
    first = make_trainer(tmp_path / "first")
    first.fit(Bars(), n_workers=0)
    second = make_trainer(
        tmp_path / "second", dataclasses.replace(CONFIG, seed=CONFIG.seed + 1)
    )
    second.begin_with(tmp_path / "first")
    assert second.clock.step == 0
    average = first.learner.average.state_dict()
    for network in (second.learner.network, second.learner.average):
        state = network.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in average.items())


def test_a_run_with_another_network_or_labels_is_no_beginning(tmp_path):
    make_trainer(tmp_path / "first").save()
    wider = dataclasses.replace(
        CONFIG, network=dataclasses.replace(TINY, width=2 * TINY.width)
    )
    other = make_trainer(tmp_path / "wider", wider)
    with pytest.raises(ValueError, match=r"--init .*first: its network is another"):
        other.begin_with(tmp_path / "first")
    renamed = Trainer(
        *(CONFIG, ("low", "loud"), Criterion([1, 1], [0, 0], alpha=0.01)),
        tmp_path / "renamed",
    )
    with pytest.raises(ValueError, match=r"--init .*first: its labels are others"):
        renamed.begin_with(tmp_path / "first")


@pytest.mark.parametrize(
    ("changes", "scaling", "message"),
    [
        ({"scaling": "single"}, Single(), "scaling=triple, not single"),
        ({"frontend": FrontendConfig(fmin=50.0)}, None, "fmin=0.0, not 50.0"),
        ({"frontend": FrontendConfig(top_db=60.0)}, None, "top_db=80.0, not 60.0"),
    ],
)
def test_a_run_on_other_features_is_no_beginning(tmp_path, changes, scaling, message):
    make_trainer(tmp_path / "first").save()
    config = dataclasses.replace(CONFIG, **changes)
    labels, loss = ("low", "high"), Criterion([1, 1], [0, 0], alpha=0.01)
    other = Trainer(config, labels, loss, tmp_path / "other", scaling=scaling)
    message = (
        rf"--init .*first: its weights were learnt on other features \({message}\)"
    )
    with pytest.raises(ValueError, match=message):
        other.begin_with(tmp_path / "first")


def test_a_run_may_begin_with_weights_learnt_on_segments_of_another_length(tmp_path):
    make_trainer(tmp_path / "first").save()
    shorter = dataclasses.replace(CONFIG.frontend, segment_frames=512)
    config = dataclasses.replace(CONFIG, frontend=shorter)
    make_trainer(tmp_path / "other", config).begin_with(tmp_path / "first")


def test_equal_seeds_log_equal_curves(tmp_path):
    for name in ("one", "two"):
        make_trainer(tmp_path / name).fit(Bars(), n_workers=0)
    assert len(curve(tmp_path / "one")) == 1
    assert curve(tmp_path / "one") == curve(tmp_path / "two")


def test_each_step_is_told_how_much_of_the_run_is_over_before_it(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    real, told = trainer.learner.learn, []

    def learn(batch, *, step, progress):
        told.append((step, progress))
        return real(batch, step=step, progress=progress)

    monkeypatch.setattr(trainer.learner, "learn", learn)
    trainer.fit(Bars(), n_workers=0)
    assert told == [(step, step / 6) for step in range(6)]


def states(trainer):
    return {
        "network": trainer.learner.network.state_dict(),
        "average": trainer.learner.average.state_dict(),
        "scaler": trainer.learner.scaler.state_dict(),
        "rng_state": dict(enumerate(trainer.parallel.rng_state())),
    }


SMALL_CRNN = dataclasses.replace(
    CONFIG, system="crnn", frontend=FrontendConfig(n_mels=64), augment=False
)


class WideBars(Bars):
    """The same, of as many mel bands as the baseline needs."""

    def __getitem__(self, index):
        example = super().__getitem__(index)
        return {**example, "x": example["x"].repeat(1, 1, 2)}


@pytest.mark.parametrize("n_workers", [0, 1])
# Python 3.12 and later warn of a fork beside threads; the worker touches no thread.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_chance_continues_where_a_run_was_cut(tmp_path, n_workers):
    # The mean teacher draws noise and dropout from torch's generator at every step.
    trainers = []
    for name, cuts in (("whole", ()), ("broken", (4, 5))):
        for n_steps in (*cuts, 6):
            trainer = make_trainer(tmp_path / name, SMALL_CRNN, MeanTeacher())
            if trainer.folder.joinpath(LAST).exists():
                trainer.resume()
            with contextlib.suppress(InterruptedError):
                cut = 4 * n_steps if n_steps < 6 else math.inf
                trainer.fit(WideBars(cut), n_workers=n_workers, save_every=0)
        trainers.append(trainer)
    whole, broken = trainers
    assert whole.clock.step == broken.clock.step == 6
    for part, mine in states(whole).items():
        theirs = states(broken)[part]
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs[name])), (
                f"{part}: {name}"
            )
    assert curve(tmp_path / "whole") == curve(tmp_path / "broken")


def test_a_killed_run_logs_no_step_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    broken = make_trainer(tmp_path)
    with pytest.raises(InterruptedError):
        broken.fit(Bars(fails_at=16), n_workers=0)  # saved before the first step only
    assert [row["step"] for row in curve(tmp_path)] == ["1", "2", "3", "4"]
    before = curve(tmp_path)
    resumed = make_trainer(tmp_path)
    resumed.resume()
    resumed.fit(Bars(), n_workers=0)
    assert [row["step"] for row in curve(tmp_path)] == list("123456")
    assert curve(tmp_path)[:4] == before


def test_the_mean_of_a_log_row_spans_an_interruption(tmp_path):
    parts = [make_trainer(tmp_path / name) for name in ("whole", "broken")]
    parts[0].fit(Bars(), n_workers=0)
    with pytest.raises(InterruptedError):
        parts[1].fit(Bars(fails_at=12), n_workers=0, save_every=0)
    resumed = make_trainer(tmp_path / "broken")
    resumed.resume()
    resumed.fit(Bars(), n_workers=0)
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")


def test_training_learns_in_sixteen_bits_too(tmp_path):
    config = dataclasses.replace(
        CONFIG, precision="bf16", steps=60, batch_size=8, ema_decay=0.8
    )
    trainer = make_trainer(tmp_path, config)
    seen = []
    hook = trainer.learner.network.linear.register_forward_hook(
        lambda _module, _input, output: seen.append(output.dtype)
    )
    trainer.fit(Bars(), n_workers=0)
    hook.remove()
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in trainer.learner.network.parameters()} == {torch.float32}
    examples = [Bars()[index] for index in range(1000, 1020)]
    segments = np.stack([example["x"][0].numpy() for example in examples])
    truth = np.stack([example["y"].numpy() for example in examples])
    scores = np.stack(list(network_scores(trainer.learner.average, segments)))
    assert ((scores > 0.5) == truth).mean() > 0.9


def test_the_scale_of_fp16_gradients_survives_a_resume(tmp_path):
    config = dataclasses.replace(CONFIG, precision="fp16", steps=2)
    trainer = make_trainer(tmp_path, config)
    trainer.learner.scaler = torch.amp.GradScaler(
        "cpu", init_scale=2.0**7, growth_interval=2
    )
    with pytest.raises(InterruptedError):
        trainer.fit(Bars(fails_at=4), n_workers=0, save_every=0)
    resumed = make_trainer(tmp_path, config)
    assert resumed.learner.scaler.get_scale() == 2.0**16
    resumed.resume()
    kept = resumed.learner.scaler.state_dict()
    assert (kept["scale"], kept["_growth_tracker"]) == (2.0**7, 1)
    resumed.fit(Bars(), n_workers=0)
    assert resumed.learner.scaler.get_scale() == 2.0**8  # grew after the second step


def test_an_overflow_of_fp16_gradients_skips_the_step(tmp_path):
    trainer = make_trainer(tmp_path, dataclasses.replace(CONFIG, precision="fp16"))
    trainer.learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60)
    before = [p.detach().clone() for p in trainer.learner.network.parameters()]
    batch = torch.utils.data.default_collate([Bars()[index] for index in range(4)])
    trainer.learner.learn(batch, step=0, progress=0.0)
    assert trainer.learner.scaler.get_scale() == 2.0**59
    for old, new in zip(before, trainer.learner.network.parameters(), strict=True):
        assert torch.equal(old, new)


def test_training_learns_what_the_bars_mean(tmp_path):
    config = TrainConfig(
        network=TINY,
        batch_size=8,
        steps=60,
        learning_rate=0.01,
        ema_decay=0.8,
        threads=1,
    )
    trainer = make_trainer(tmp_path, config)
    trainer.fit(Bars(), n_workers=0)
    examples = [Bars()[index] for index in range(1000, 1020)]
    segments = np.stack([example["x"][0].numpy() for example in examples])
    truth = np.stack([example["y"].numpy() for example in examples])
    scores = np.stack(list(network_scores(trainer.learner.average, segments)))
    assert ((scores > 0.5) == truth).mean() > 0.95


def test_a_loss_that_is_not_finite_stops_and_names_the_examples(tmp_path):
    trainer = make_trainer(tmp_path)
    with pytest.raises(FloatingPointError, match=r"step 0 \(examples 0 to 3\)"):
        trainer.fit(Bars(value=math.nan), n_workers=0)


def test_a_run_by_the_clock_ends_by_the_clock(tmp_path):
    config = TrainConfig(network=TINY, batch_size=2, minutes=0.5 / 60, threads=1)
    trainer = make_trainer(tmp_path, config)
    trainer.fit(Bars(), n_workers=0)
    assert trainer.clock.step >= 1
    assert trainer.clock.elapsed >= 0.5


def test_the_time_of_a_run_by_the_clock_spans_an_interruption(tmp_path):
    config = dataclasses.replace(CONFIG, minutes=1.0)
    trainer = make_trainer(tmp_path, config)
    trainer.clock.step, trainer.clock.elapsed = 5, 45.0
    trainer.save()
    resumed = make_trainer(tmp_path, config)
    resumed.resume()
    assert (resumed.clock.step, resumed.clock.elapsed) == (5, 45.0)
    assert resumed.clock.progress == 0.75


def test_the_average_follows_the_network():
    network, average = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(3.0)
        average.weight.fill_(1.0)
    network.num_batches_tracked.fill_(7)
    update_average(average, network, decay=0.75, step=10**6)
    assert average.weight.tolist() == pytest.approx([1.5, 1.5])
    assert average.num_batches_tracked == 7


def test_a_run_gives_its_averaged_network_back(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit(Bars(), n_workers=0)
    trained = load_trained(tmp_path)
    assert (trained.labels, trained.config, trained.step) == (LABELS, CONFIG, 6)
    x = torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        assert torch.equal(trained.network(x).scores, trainer.learner.average(x).scores)


def test_checkpoints_with_the_names_of_version_0_1_are_read_and_gone_on_with(tmp_path):
    for name in ("new", "old"):
        with pytest.raises(InterruptedError):
            make_trainer(tmp_path / name).fit(
                Bars(fails_at=12), n_workers=0, save_every=0
            )
    path = tmp_path / "old" / LAST
    state = torch.load(path, weights_only=True)
    state["kept"], state["chance"] = state.pop("evaluated"), state.pop("rng_state")
    state["config"]["keep_average"] = state["config"].pop("evaluate_average")
    save_atomically(state, path)
    weights = []
    for name in ("new", "old"):
        assert load_trained(tmp_path / name).step == 3
        trainer = make_trainer(tmp_path / name)
        trainer.resume()
        trainer.fit(Bars(), n_workers=0)
        weights.append(trainer.learner.average.state_dict())
    assert all(torch.equal(value, weights[1][k]) for k, value in weights[0].items())


def test_validation_is_logged_and_the_four_of_lowest_loss_are_kept(
    tmp_path, monkeypatch
):
    trainer = make_trainer(tmp_path)
    segments = np.zeros((2, 1024, 128), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)], []], LABELS)
    losses = [0.5, 0.2, 0.9, 0.3, 0.4, 0.8]
    for trainer.clock.step, loss in enumerate(losses):
        made = {"total": torch.tensor(loss)}
        monkeypatch.setattr(trainer, "_validation_losses", lambda _, made=made: made)
        assert trainer.validate(recordings) == pytest.approx(loss)
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert rows[0] == "step,minutes,loss,macro,micro,low,high"
    assert [row.split(",")[2] for row in rows[1:]] == [str(loss) for loss in losses]
    assert [each.step for each in load_best(tmp_path)] == [1, 3, 4, 0]
    assert load_trained(tmp_path).step == 1
    assert load_trained(tmp_path).f1_per_label == {"low": 0.0, "high": 0.0}


def test_validation_loss_is_the_objective_on_all_clips(tmp_path):
    trainer = make_trainer(tmp_path)
    with torch.no_grad():  # it is the average that is validated
        trainer.learner.network.linear.bias.fill_(1.0)
    segments = np.random.default_rng(0).random((6, 1024, 128), np.float32)
    events = [[Event("low", 1.0, 2.05, 1.0)]] * 4 + [[]] * 2
    loss = trainer.validate(EvaluationSet(segments, events, LABELS))
    x = torch.from_numpy(segments)[:, None]
    y = torch.zeros(6, 128, 2)
    y[:4, 13:26, 0] = 1  # 1 s is score frame 12.8, 2.05 s is 26.2
    batch = {"x": x, "y": y, "strong": torch.ones(6, dtype=torch.bool)}
    with torch.no_grad():  # six at once, where a batch of the run has four
        losses = trainer.learner.objective(trainer.learner.average, None, batch, 0.0)
    assert loss == pytest.approx(float(losses["total"]), rel=1e-5)


def test_the_f1_that_weighs_an_ensemble_is_that_of_the_averaged_weights(tmp_path):
    trainer = make_trainer(tmp_path)
    with torch.no_grad():
        for network, score in (
            (trainer.learner.network, 0.1),
            (trainer.learner.average, 0.9),
        ):
            network.linear.weight.zero_()
            network.linear.bias.fill_(math.log(score / (1 - score)))
    events = [[Event(label, 0.0, 10.0, 1.0) for label in LABELS]]
    segments = np.zeros((1, 1024, 128), np.float32)
    trainer.validate(EvaluationSet(segments, events, LABELS))
    assert load_trained(tmp_path).f1_per_label == {"low": 1.0, "high": 1.0}


def test_a_run_without_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no trained run \(last\.pt is missing\)"):
        make_trainer(tmp_path).resume()
    (tmp_path / LAST).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a checkpoint of `fit`, or damaged"):
        load_trained(tmp_path)


def test_resuming_with_other_labels_is_refused(tmp_path):
    make_trainer(tmp_path).save()
    criterion = Criterion([1, 1], [0, 0], alpha=0.01)
    other = Trainer(CONFIG, ("cat", "dog"), criterion, tmp_path)
    with pytest.raises(ValueError, match="was trained with other labels"):
        other.resume()


def test_resuming_with_other_kinds_of_sounds_is_refused(tmp_path):
    make_trainer(tmp_path, n_auxiliary=3).save()
    with pytest.raises(ValueError, match=r"last\.pt: was trained with other kinds of"):
        make_trainer(tmp_path, n_auxiliary=4).resume()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed: 1 differs from 0 in .*last.pt; resume with"),
        ({"network": NetworkConfig(width=16)}, "network.width: 16 differs from 8"),
        ({"precision": "bf16"}, "precision: bf16 differs from fp32"),
    ],
)
def test_resuming_with_other_settings_is_refused(tmp_path, changes, message):
    make_trainer(tmp_path).save()
    other = make_trainer(tmp_path, dataclasses.replace(CONFIG, **changes))
    with pytest.raises(ValueError, match=message):
        other.resume()


def test_a_run_may_be_made_longer_and_is_measured_at_its_new_end(tmp_path):
    segments = np.zeros((1, 1024, 128), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)]], LABELS)
    first = make_trainer(tmp_path, dataclasses.replace(CONFIG, steps=1, validations=1))
    first.fit(Bars(), recordings, n_workers=0)
    longer = make_trainer(tmp_path, dataclasses.replace(CONFIG, steps=2, validations=1))
    longer.resume()
    longer.fit(Bars(), recordings, n_workers=0)
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_a_run_is_measured_as_often_as_asked_though_steps_do_not_divide(tmp_path):
    segments = np.zeros((1, 1024, 128), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)]], LABELS)
    config = dataclasses.replace(CONFIG, steps=6, validations=4)
    make_trainer(tmp_path, config).fit(Bars(), recordings, n_workers=0)
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2", "3", "5", "6"]


def test_a_run_that_was_cut_between_measurements_is_not_measured_more_often(tmp_path):
    segments = np.zeros((1, 1024, 128), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)]], LABELS)
    config = dataclasses.replace(CONFIG, steps=6, validations=2)
    broken = make_trainer(tmp_path, config)
    with pytest.raises(InterruptedError):
        broken.fit(Bars(fails_at=16), recordings, n_workers=0, save_every=0)
    resumed = make_trainer(tmp_path, config)
    resumed.resume()
    assert resumed.clock.step == 4
    resumed.fit(Bars(), recordings, n_workers=0)
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6"]


def test_measuring_a_run_does_not_change_it(tmp_path):
    """The mean teacher draws noise, for validation clips too."""
    segments = np.random.default_rng(0).random((2, 1024, 64), np.float32)
    recordings = EvaluationSet(segments, [[Event("low", 1.0, 2.0, 1.0)], []], LABELS)
    weights = []
    for n in (1, 3):
        config = dataclasses.replace(SMALL_CRNN, steps=3, validations=n)
        trainer = make_trainer(tmp_path / str(n), config, MeanTeacher())
        trainer.fit(WideBars(), recordings, n_workers=0)
        weights.append(trainer.learner.network.state_dict())
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())


def test_saving_leaves_a_whole_file_and_no_draft(tmp_path):
    save_atomically({"step": 1}, tmp_path / "last.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_event_f1_counts_hits_within_the_collars():
    reference = [[Event("Dog", 1.0, 2.0, 1.0), Event("Cat", 5.0, 6.0, 1.0)]]
    close = [[Event("Dog", 1.15, 2.15, 1.0)]]
    result = event_f1(reference, close, ("Cat", "Dog", "Speech"))
    assert result.per_label == {"Cat": 0.0, "Dog": 1.0, "Speech": 0.0}
    assert (result.macro, result.absent) == (pytest.approx(1 / 2), ("Speech",))
    assert result.micro == pytest.approx(2 / 3)
    late = [[Event("Dog", 1.25, 2.0, 1.0)]]
    assert event_f1(reference, late, ("Cat", "Dog")).micro == 0.0


def test_a_long_event_may_end_a_fifth_of_its_length_off():
    reference = [[Event("Hum", 0.0, 8.0, 1.0)]]
    assert event_f1(reference, [[Event("Hum", 0.0, 6.5, 1.0)]], ("Hum",)).micro == 1.0
    assert event_f1(reference, [[Event("Hum", 0.0, 6.0, 1.0)]], ("Hum",)).micro == 0.0
