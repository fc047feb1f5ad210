"""Mutants with a name: one for each way in which the report's system can be missed.

A changed comparison is an accident; these are misreadings. Each of them went unnoticed by
tests that compared the network with itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Misreading:
    """A text of a file and what it is replaced with, and the tests that must notice."""

    path: str
    test: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the source with the replacement made, everywhere it can be.

        Raises
        ------
        ValueError
            The text does not occur any more.
        """
        if self.old not in source:
            raise ValueError(
                f"{self.path} must hold {self.old!r}, which was to be changed"
            )
        return source.replace(self.old, self.new)


TWIN = "tests/train/networks/test_numpy_twin.py"
NETWORK = "train/networks/resnet.py", TWIN
BLOCKS = "train/networks/blocks.py", TWIN
GRADIENTS = "tests/train/networks/test_gradients.py"
LOSSES = "train/fit/losses.py", "tests/train/fit/test_numpy_losses.py"
CLIPS = "train/datasets/data_module.py", "tests/train/datasets/test_data_module.py"
RUN = "train/fit/run.py", "tests/train/fit/test_run.py"
ROW_TEST = "test_every_row_scores_the_network_and_does_to_it_what_its_name_says"
CRNN = "train/networks/crnn.py", "tests/train/networks/test_crnn.py"
ROWS = (
    "train/experiments/table1.py",
    f"tests/train/experiments/test_table1.py::{ROW_TEST}",
)
ENSEMBLE = "train/fit/checkpoint.py", "tests/train/fit/test_ensemble_of_run.py"
VALIDATION = "train/fit/validation.py", "tests/train/fit/test_validation.py"
OPTIMISER = "train/fit/train_step.py", "tests/train/fit/test_train_step.py"
STEP = "train/fit/train_step.py", "tests/train/evaluation/test_held_out_score.py"
GAP_FILTER = "csrc/gap_filter.cpp", "tests/core/test_gap_filter.py"
CLIP_EVENTS = "train/evaluation/scoring.py", "tests/train/evaluation/test_scoring.py"
HITS = "train/metrics/criteria.py", "tests/train/metrics/test_criteria.py"
TRAINER = "train/fit/trainer.py", "tests/train/fit/test_trainer.py"

MISREADINGS = {
    "the mask is not multiplied": Misreading(
        *NETWORK, "maps = maps * torch.sigmoid(mask)", "maps = maps"
    ),
    "squeeze-and-excitation is not applied": Misreading(
        *BLOCKS, "return maps * gate[:, :, None, None]", "return maps"
    ),
    "squeeze-and-excitation has no sigmoid": Misreading(
        *BLOCKS, "            nn.Sigmoid(),\n", ""
    ),
    "squeeze-and-excitation looks at maxima": Misreading(
        *BLOCKS, "maps.mean(dim=(2, 3))", "maps.amax(dim=(2, 3))"
    ),
    "a shortcut is missing in the residual block": Misreading(
        *BLOCKS, "self.shortcut(maps) + self.body(maps)", "self.body(maps)"
    ),
    "a shortcut is missing in the self-mask": Misreading(
        *BLOCKS, "maps + self.body(maps)", "self.body(maps)"
    ),
    "the head takes the maximum over frequency": Misreading(
        *NETWORK,
        "self.dropout(deep.mean(dim=3).transpose(1, 2))",
        "self.dropout(deep.amax(dim=3).transpose(1, 2))",
    ),
    "the region is the mean of the mask": Misreading(
        *NETWORK, "mask.amax(dim=(1, 3))", "mask.mean(dim=(1, 3))"
    ),
    "the region pools time by its mean": Misreading(
        *NETWORK, "functional.max_pool1d(mask", "functional.avg_pool1d(mask"
    ),
    "the clip's score is a mean over time": Misreading(
        *LOSSES, "score_logits.amax(dim=1)", "score_logits.mean(dim=1)"
    ),
    "weak clips have the weights of strong ones": Misreading(
        *LOSSES,
        "y[weak], self.weak_weights",
        "y[weak], self.strong_weights",
    ),
    "weak clips have no loss": Misreading(
        *LOSSES, "of_strong + of_weak", "of_strong + 0 * of_weak"
    ),
    "weak clips have a strong loss": Misreading(
        *LOSSES,
        "strong_loss(scores[strong], y[strong])",
        "strong_loss(scores, y)",
    ),
    "a target of the region loss is trained": Misreading(
        "train/fit/losses.py",
        "tests/train/fit/test_losses.py",
        "torch.sigmoid(event_logits).detach()",
        "torch.sigmoid(event_logits)",
    ),
    "the mask learns nothing from the scores": Misreading(
        NETWORK[0],
        GRADIENTS,
        "maps * torch.sigmoid(mask)",
        "maps * torch.sigmoid(mask).detach()",
    ),
    "the mask teaches the stem nothing": Misreading(
        NETWORK[0], GRADIENTS, "else self.mask(maps)", "else self.mask(maps.detach())"
    ),
    "squeeze-and-excitation teaches what it looks at nothing": Misreading(
        BLOCKS[0],
        GRADIENTS,
        "self.gate(maps.mean(dim=(2, 3)))",
        "self.gate(maps.mean(dim=(2, 3)).detach())",
    ),
    "labels of strong clips teach nothing": Misreading(
        *LOSSES,
        "class_loss(scores[strong], y[strong]",
        "class_loss(scores[strong].detach(), y[strong]",
    ),
    "frames of strong clips teach nothing": Misreading(
        *LOSSES,
        "strong_loss(scores[strong], y[strong])",
        "strong_loss(scores[strong].detach(), y[strong])",
    ),
    "batch norms learn by what they gathered": Misreading(
        *OPTIMISER, "        self.network.train()\n", ""
    ),
    "a short event has no frame": Misreading(
        "train/datasets/clip_features.py",
        "tests/train/datasets/test_clips.py",
        "max(round(last), start + 1)",
        "max(round(last), start)",
    ),
    "weak counts are taken for strong ones": Misreading(
        *RUN,
        "clips.strong_counts, clips.weak_counts",
        "clips.weak_counts, clips.strong_counts",
    ),
    "weak and strong counts are swapped in the objective": Misreading(
        *RUN,
        "Criterion(strong_counts, weak_counts",
        "Criterion(weak_counts, strong_counts",
    ),
    "weak clips are never trained on": Misreading(
        *CLIPS, 'labelled // 2 if "weak" in sets', '0 if "weak" in sets'
    ),
    "unlabelled clips are never trained on": Misreading(
        *CLIPS, "n_weak, n_unlabelled)", "n_weak, 0)"
    ),
    "the scaling is fitted to synthetic clips alone": Misreading(
        *CLIPS,
        "(features[name], trained_on[name]) for name in trained_on)",
        '(features[name], trained_on[name]) for name in ["synthetic"])',
    ),
    "held-out clips are trained on": Misreading(
        *CLIPS,
        "trained_on[name], kept = split_names(names, share, seed=[config.seed, number])",
        "kept = split_names(names, share, seed=[config.seed, number])[1]\n"
        "        trained_on[name] = names",
    ),
    "row 2 is of the other alpha": Misreading(
        *ROWS, "load_best(runs[STRONGER])", "load_best(runs[WEAKER])"
    ),
    "row 3 is of the other alpha": Misreading(
        *ROWS, "load_best(runs[WEAKER])", "load_best(runs[STRONGER])"
    ),
    "the ensemble is of the other alpha": Misreading(
        *ROWS, "load_ensemble(runs[WEAKER])", "load_ensemble(runs[STRONGER])"
    ),
    "row 3 is of the second best checkpoint": Misreading(
        *ROWS, "load_best(runs[WEAKER])[0]", "load_best(runs[WEAKER])[1]"
    ),
    "row 2 is connected and cut": Misreading(
        *ROWS,
        "events(scores.stronger, PLAIN_POST)",
        "events(scores.stronger, PostConfig())",
    ),
    "row 4 is connected and cut": Misreading(
        *ROWS,
        "events(scores.together, PLAIN_POST)",
        "events(scores.together, PostConfig())",
    ),
    "a row has another threshold": Misreading(
        *ROWS,
        "PostConfig(min_gap=0.0, min_duration=0.0)",
        "PostConfig(0.3, min_gap=0.0, min_duration=0.0)",
    ),
    "thresholds are tuned on the public list": Misreading(
        *ROWS,
        "tune_post(together, clips.validation",
        "tune_post(together, clips.public or clips.validation",
    ),
    "checkpoints are chosen on the public list": Misreading(
        *RUN,
        "clips.training,\n        clips.validation,",
        "clips.training,\n        clips.public or clips.validation,",
    ),
    "the ensemble is of two checkpoints": Misreading(
        *ENSEMBLE, "best = load_best(run)\n", "best = load_best(run)[:2]\n"
    ),
    "the ensemble's networks weigh alike": Misreading(
        *ENSEMBLE,
        "[each.f1_per_label for each in best]",
        "[dict.fromkeys(each.f1_per_label, 1.0) for each in best]",
    ),
    "the ensemble's F1 is measured before connect & cut": Misreading(
        *VALIDATION,
        "PostConfig(), grid)",
        "PostConfig(min_gap=0.0, min_duration=0.0), grid)",
    ),
    "an event needs a region": Misreading(
        "train/evaluation/scoring.py",
        VALIDATION[1],
        "network(batch).scores.float()",
        "(network(batch).scores * network(batch).region[..., None]).float()",
    ),
    "a gap before the first event is connected": Misreading(
        *GAP_FILTER,
        "        state.onset = frame;\n",
        "        state.onset = frame < rule.min_gap ? 0 : frame;\n",
    ),
    "a gap after the last event is connected": Misreading(
        *GAP_FILTER,
        "    if (states_[k].offset != 0) close(k, closed);",
        "    if (states_[k].offset == 0) continue;\n"
        "    states_[k].offset = n_frames_;\n"
        "    close(k, closed);",
    ),
    "a short event at the end of a clip is not cut": Misreading(
        *GAP_FILTER,
        "    if (states_[k].offset != 0) close(k, closed);",
        "    if (states_[k].offset != 0) closed.push_back(run(k));\n"
        "    states_[k] = State{};",
    ),
    "every label has the gap of its neighbour": Misreading(
        *GAP_FILTER, ">= rule.min_gap", ">= rules_[(k + 1) % n_labels].min_gap"
    ),
    "events are made of padding": Misreading(
        *CLIP_EVENTS, "scores[: n_samples // length + 1]", "scores"
    ),
    "events reach past the end of their clip": Misreading(
        *CLIP_EVENTS, "tracker.flush(n_samples)", "tracker.flush(len(scores) * length)"
    ),
    "the offset collar is a fifth of what was found": Misreading(
        *HITS,
        "OFFSET_COLLAR_RATE * (offset - onset)",
        "OFFSET_COLLAR_RATE * (stop - start)",
    ),
    "events are paired in the order of the list": Misreading(
        *HITS, "not in partners or pair(partners[other], tried):", "not in partners:"
    ),
    "overlapping events are joined before they are counted": Misreading(
        *HITS,
        "_count(reference, estimated, labels, _event_hits)",
        "_count(_joined(reference), _joined(estimated), labels, _event_hits)",
    ),
    "a clip without events cannot have false ones": Misreading(
        *HITS, "there.keys() | claimed.keys()", "there.keys()"
    ),
    "gradients are not clipped": Misreading(
        *OPTIMISER,
        "        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)\n",
        "",
    ),
    "gradients pile up from step to step": Misreading(
        *OPTIMISER,
        "        self.optimizer.zero_grad()\n        self.scaler",
        "        self.scaler",
    ),
    "weights do not decay": Misreading(
        *OPTIMISER, "weight_decay=config.weight_decay", "weight_decay=0.0"
    ),
    "the baseline has no median filter": Misreading(
        *ROWS,
        "median_events(table, labels, base_grid, n_samples=n)",
        "scores_to_events(table, labels, PLAIN_POST, base_grid, n_samples=n)",
    ),
    "the baseline pools by the maximum": Misreading(
        *CRNN, "nn.AvgPool2d(POOL)", "nn.MaxPool2d(POOL)"
    ),
    "the baseline drops what goes into the recurrence": Misreading(
        *CRNN,
        "self.dropout(self.recurrence(sequence)[0])",
        "self.recurrence(self.dropout(sequence))[0]",
    ),
    "the ensemble's F1 is not that of the averaged weights": Misreading(
        *TRAINER,
        "                self.learner.evaluated,\n                data,",
        "                self.learner.network.eval(),\n                data,",
    ),
    "the baseline's teacher is scored": Misreading(
        *STEP,
        "self.average if self.config.evaluate_average else self.network.eval()",
        "self.average",
    ),
    "checkpoints are chosen by the loss of the last weights": Misreading(
        *TRAINER,
        "self.learner.losses(self.learner.evaluated, batch",
        "self.learner.losses(self.learner.network.eval(), batch",
    ),
    "an epoch's validation comes a step late": Misreading(
        "train/fit/clock.py",
        VALIDATION[1],
        "n * self.progress + 1e-9",
        "n * self.progress",
    ),
    "of equal checkpoints the last is the best": Misreading(
        *ENSEMBLE,
        "in sorted(ranked)]",
        "in sorted(ranked, key=lambda each: (each[0], -int(each[1].stem[5:])))]",
    ),
    "every run sees the batches of seed 0": Misreading(
        CLIPS[0], RUN[1], "seed=config.seed,\n", "seed=0,\n"
    ),
    "every run holds out the clips of seed 0": Misreading(
        *CLIPS, "seed=[config.seed, number]", "seed=[0, number]"
    ),
    "the baseline drops out a third": Misreading(
        *CRNN,
        "dropout: float = 0.5,\n    ) -> None",
        "dropout: float = 0.3,\n    ) -> None",
    ),
    "the baseline's filter stops where a clip ends": Misreading(
        "train/evaluation/median_filter.py",
        "tests/train/evaluation/test_median_filter.py",
        "median_filter(scores, n_frames)[:n_real]",
        "median_filter(scores[:n_real], n_frames)",
    ),
    "the tuned row is not tuned": Misreading(
        *ROWS, "events(scores.together, tuned)", "events(scores.together, PostConfig())"
    ),
    "a clip less is DESED 2019 all the same": Misreading(
        "train/annotations/desed_version.py",
        "tests/train/annotations/test_desed_layout.py",
        "n_used == n_listed:",
        "n_used >= n_listed - 1:",
    ),
    "a submission leaves out clips without events": Misreading(
        "train/experiments/report.py",
        "tests/train/experiments/test_systems.py",
        "dict(zip(names, scored.events, strict=True))",
        "{n: e for n, e in zip(names, scored.events, strict=True) if e}",
    ),
}
