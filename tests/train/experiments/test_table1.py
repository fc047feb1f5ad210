"""`python -m train`: five rows, the same for the same seed, each scored as it says."""

import dataclasses
import json
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from streamsed.config import FrontendConfig, PostConfig
from streamsed.events import Event
from train.annotations.desed import Desed
from train.annotations.event_lists import read_strong, write_strong
from train.cli import app as cli
from train.config.preset import load_preset
from train.datasets.evaluation_set import EvaluationSet
from train.experiments import ablations, table1
from train.experiments import experiment as experiment_module
from train.experiments.experiment import Experiment
from train.experiments.figures import draw_clips
from train.experiments.outcomes import OUTCOME
from train.experiments.report import write_events
from train.experiments.run_data import DATA
from train.fit.checkpoint import BEST, LAST, load_trained, read_checkpoint
from train.fit.run import RunOptions
from train.metrics.criteria import event_f1
from train.mixing.desed_like import Sizes, imitate
from train.mixing.soundbank import Soundbank
from train.mixing.toy_bank import write_bank

REPORTED = [23.70, 31.65, 32.87, 34.51, 36.09, None, None]
SETTINGS = (
    "steps=2",
    "batch_size=4",
    "validations=2",
    "network.width=8",
    "network.multiples=[1, 2]",
    "network.strides=[[1, 2], [2, 2]]",
    "network.stem_pools=2",
    "threads=1",
)
BASELINE = ("steps=2", "batch_size=6", "unlabelled=2", "network.width=8", "threads=1")
SHORT = 2.345
"""Seconds of the public evaluation clip that is cut."""
PICTURES = ("curves.png", "labels.png", "psd-roc.png", "clips.png")


@pytest.fixture(autouse=True)
def denormals(monkeypatch):
    """Training flushes them for the whole process, which Hypothesis would mind."""
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    bank = write_bank(tmp_path_factory.mktemp("bank"), n_recordings=5)
    train, validation = (
        Soundbank.load(bank, split=split) for split in ("train", "validation")
    )
    sizes = Sizes(synthetic=4, weak=4, unlabelled=4, validation=6)
    folder = tmp_path_factory.mktemp("data")
    imitate(folder, train, validation, sizes=sizes)
    add_public(folder)
    return folder


def add_public(folder):
    """Take two validation clips for public ones, the first of them cut short."""
    clips = read_strong(folder / "metadata" / "validation" / "validation.tsv")
    names = [name for name, events in clips.items() if events][:2]
    audio = folder / "audio" / "eval" / "public"
    audio.mkdir(parents=True)
    (folder / "metadata" / "eval").mkdir()
    for name, seconds in zip(names, (SHORT, 10.0), strict=True):
        samples, rate = soundfile.read(folder / "audio" / "validation" / name)
        soundfile.write(audio / name, samples[: round(seconds * rate)], rate)
    write_strong(
        folder / "metadata" / "eval" / "public.tsv",
        {
            names[0]: [Event(clips[names[0]][0].label, 0.5, 1.0, 1.0)],
            names[1]: clips[names[1]],
        },
    )


def command(words):
    """Run a command and return how it ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(word) for word in words])
        patch.setattr(torch, "set_flush_denormal", lambda _: True)
        with pytest.raises(SystemExit) as caught:
            cli.main()
    return caught.value.code


def run_table(data, folder, *more):
    words = ["train", "--data", data, "--run", folder, "--device", "cpu", *more]
    words += [word for line in SETTINGS for word in ("--set", line)]
    words += [word for line in BASELINE for word in ("--set-baseline", line)]
    return command(words)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A folder with a finished table."""
    folder = tmp_path_factory.mktemp("made")
    assert run_table(data, folder) == 0
    return folder


@pytest.fixture
def make_table(data, capsys):
    def run(folder, *more):
        code = run_table(data, folder, *more)
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        assert (folder / "table1.md").read_text() in out
        return json.loads((folder / "table1.json").read_text())

    return run


@pytest.fixture
def score_again(made, make_table, tmp_path):
    """Score the finished networks once more, or what stands in for them."""

    def run():
        shutil.copytree(made, tmp_path / "again")
        return make_table(tmp_path / "again")

    return run


def scored(table):
    """Return the rows, and what pictures are made of."""
    return table["rows"], table["psds"]


def test_the_table_is_the_same_for_a_seed_and_nothing_is_trained_twice(
    made, make_table, score_again, tmp_path
):
    table = json.loads((made / "table1.json").read_text())
    assert [row["reported"] for row in table["rows"]] == REPORTED
    for name in PICTURES:
        assert (made / name).read_bytes().startswith(b"\x89PNG")
    second = make_table(tmp_path / "second")
    assert scored(second) == scored(table)
    assert second["facts"]["data"] == table["facts"]["data"]

    assert scored(score_again()) == scored(table)
    for name in (table1.BASELINE, table1.STRONGER, table1.WEAKER):
        before, after = (
            (folder / name / LAST) for folder in (made, tmp_path / "again")
        )
        assert before.stat().st_mtime_ns == after.stat().st_mtime_ns  # copied, not made


def test_without_options_the_data_are_what_lies_in_desed(
    data, tmp_path, monkeypatch, capsys
):
    desed = tmp_path / "DESED" / "metadata" / "train"
    desed.mkdir(parents=True)
    shutil.copy(data / "metadata" / "train" / "weak.tsv", desed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "DESED: no synthetic clips" in capsys.readouterr().err
    assert not list(tmp_path.rglob("soundbank"))  # nothing was mixed in their place


def test_another_seed_trains_other_networks(data, made, tmp_path):
    settings = (*SETTINGS, "seed=1")
    experiment = Experiment(Desed.load(data), tmp_path, settings=settings, device="cpu")
    experiment.fit(table1.WEAKER)
    logs = [(folder / table1.WEAKER / "log.csv") for folder in (made, tmp_path)]
    losses = [log.read_text().splitlines()[1].split(",")[3] for log in logs]
    assert losses[0] != losses[1]


def broken_scores(data):
    """Replace a network by one that is right but for gaps and blips of a frame."""
    validation, public = (
        read_strong(data / "metadata" / name)
        for name in ("validation/validation.tsv", "eval/public.tsv")
    )
    labels = Desed.load(data).labels

    def network_scores(network, segments):
        clips = validation if len(segments) == len(validation) else public
        for segment, events in zip(segments, clips.values(), strict=True):
            n_frames = len(segment) // 8
            scores = np.zeros((n_frames, len(labels)), np.float32)
            for event in events:
                first, last = (
                    round(n_frames / 10 * time) for time in (event.onset, event.offset)
                )
                scores[first:last, labels.index(event.label)] = 0.9
                if last - first >= 6:
                    scores[(first + last) // 2, labels.index(event.label)] = 0.1
            silent = np.flatnonzero(scores.max(axis=0) == 0)
            scores[n_frames // 3, silent] = 0.9
            yield scores

    return network_scores


def test_only_rows_with_connect_and_cut_mend_gaps_and_blips(
    score_again, data, monkeypatch
):
    monkeypatch.setattr(table1, "network_scores", broken_scores(data))
    rows = score_again()["rows"]
    baseline, plain, connected, ensemble, both, tuned, chance = (
        row["event_f1_macro"] for row in rows
    )
    assert connected == both > 0.95
    assert plain == ensemble < 0.6
    assert baseline > plain  # its median filter mends too
    assert tuned >= both
    assert chance < 0.5


def test_the_ensemble_is_another_network_than_the_best_checkpoint(
    score_again, monkeypatch
):
    asked = []
    real = table1.network_scores

    def network_scores(network, segments):
        asked.append(type(network).__name__)
        return real(network, segments)

    monkeypatch.setattr(table1, "network_scores", network_scores)
    score_again()
    assert asked == 2 * ["Crnn", "Network", "Network", "Ensemble"]


def test_ablations_are_left_out_one_by_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "network_scores", broken_scores(data))
    outcomes = list(
        ablations.measure(
            Desed.load(data),
            tmp_path,
            names=["report", "no_mask", "no_excitation", "alpha_0", "baseline"],
            seeds=[0, 1],
            settings=SETTINGS,
            baseline_settings=BASELINE,
            device="cpu",
        )
    )
    assert [(name, seed) for name, seed, _ in outcomes][:2] == [
        ("report", 0),
        ("no_mask", 0),
    ]
    for name, seed, outcome in outcomes:
        batches = "2 synthetic, 2 weak, 2 unlabelled" if name == "baseline" else ""
        assert f"({batches or '2 synthetic, 2 weak'})" in outcome.training
        # Each run says what it was trained on: the baseline on unlabelled clips as well.
        assert ("unlabel_in_domain 4 of 4" in outcome.data) == (name == "baseline")
        said = f": {outcome.training}. {outcome.data} Scored at {outcome.commit}.\n"
        assert said in ablations.to_markdown({name: {seed: outcome}})
        config = read_checkpoint(tmp_path / f"{name}-{seed}" / LAST)["config"]
        assert config["seed"] == seed
        assert config["network"]["self_mask"] == (name != "no_mask")
        assert config["network"]["squeeze_excite"] == (name != "no_excitation")
        if name == "baseline":
            assert config["system"] == "crnn"
            assert outcome.plain == outcome.both == outcome.last > 0.6
        else:
            assert config["alpha"] == (0.0 if name == "alpha_0" else 0.01)
            assert outcome.plain == outcome.ensemble < 0.6
            assert outcome.connected == outcome.both == outcome.last > 0.95


def test_the_baselines_ablation_has_its_median_filter_and_no_connect_and_cut(
    tmp_path, monkeypatch
):
    """Which would cut what the filter leaves of this: two frames, less than 0.2 s."""
    config = load_preset(table1.BASELINE)
    whole = config.frontend.score_frame_duration
    scores = np.zeros((108, 1), np.float32)
    scores[[20, 21, 23]] = 0.9
    truth = [Event("Dog", 21 * whole, 23 * whole, 1.0)]
    segments = np.zeros((1, 864, 64), np.float32)
    recordings = EvaluationSet(segments, [truth], ("Dog",), ("a.wav",), (441000,))
    network = Loaded(Tagged("any"))
    monkeypatch.setattr(ablations, "load_best", lambda _: [network])
    monkeypatch.setattr(ablations, "load_trained", lambda *_, **__: network)
    monkeypatch.setattr(ablations, "network_scores", lambda *_: [scores])
    outcome = ablations._score(tmp_path, recordings, config, "cpu")
    assert (outcome.plain, outcome.both, outcome.last) == (1.0, 1.0, 1.0)


def test_an_ablation_of_the_baseline_without_unlabelled_clips_says_so_in_its_row(
    data, tmp_path
):
    settings = [each for each in BASELINE if not each.startswith("unlabelled")]
    ((_, _, outcome),) = ablations.measure(
        Desed.load(data),
        tmp_path,
        names=["baseline"],
        seeds=[0],
        settings=(),
        baseline_settings=(*settings, "unlabelled=0"),
        device="cpu",
    )
    note = "baseline (CRNN) [trained without unlabel_in_domain clips]"
    assert note in ablations.to_markdown({"baseline": {0: outcome}})
    assert "Trained without the unlabel_in_domain clips." in outcome.data


def ablate(data, folder, *more):
    """Run the command; return its exit code."""
    words = ["train", "ablations", "--data", data, "--run", folder, "--device", "cpu"]
    words += [word for line in SETTINGS for word in ("--set", line)]
    return command([*words, *more])


def rows_of(folder):
    lines = (folder / "ablations.md").read_text().splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]


def test_a_table_of_ablations_in_parts_has_the_rows_of_all_and_scores_none_twice(
    data, tmp_path, monkeypatch, capsys
):
    scored = []

    def network_scores(network, segments):
        scored.append(network)
        return broken_scores(data)(network, segments)

    monkeypatch.setattr(ablations, "network_scores", network_scores)
    assert ablate(data, tmp_path, "--only", "no_mask", "--only", "alpha_0.1") == 0
    assert rows_of(tmp_path) == ["α = 0.1", "no self-mask"]
    n_scored = len(scored)
    assert ablate(data, tmp_path, "--only", "no_mask", "--only", "report") == 0
    rows = ["the report's system (α = 0.01)", "α = 0.1", "no self-mask"]
    assert rows_of(tmp_path) == rows
    assert len(scored) == n_scored + n_scored // 2  # of the report's system alone
    table = (tmp_path / "ablations.md").read_text()
    assert ablate(data, tmp_path, "--only", "alpha_0.1") == 0
    after = (tmp_path / "ablations.md").read_text()
    assert after.splitlines()[2:] == table.splitlines()[2:]  # below the command

    capsys.readouterr()
    assert ablate(data, tmp_path, "--only", "no_average", "--set", "steps=3") == 2
    err = capsys.readouterr().err
    assert "steps: 3 differs from 2" in err
    assert "name another --run" in err
    assert not (tmp_path / "no_average-0").exists()
    shutil.copytree(data, tmp_path / "other")
    clip = next((tmp_path / "other" / "audio" / "train" / "weak").iterdir())
    clip.write_bytes(clip.read_bytes()[:-2])
    only = ("--only", "baseline", "--only", "no_average")
    assert ablate(tmp_path / "other", tmp_path, *only) == 2
    assert "started with other data (weak differ)" in capsys.readouterr().err


def test_an_outcome_is_that_of_the_checkpoints_beside_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "network_scores", broken_scores(data))
    assert ablate(data, tmp_path, "--only", "report") == 0
    path = tmp_path / "report-0" / OUTCOME
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "both": 0.125}))
    assert ablate(data, tmp_path, "--only", "report") == 0
    assert "| 12.5 |" in (tmp_path / "ablations.md").read_text()
    for checkpoint in path.parent.glob("*.pt"):
        checkpoint.unlink()
    assert ablate(data, tmp_path, "--only", "report") == 0
    assert json.loads(path.read_text()) == known


def test_the_last_weights_are_scored_too(data, tmp_path, monkeypatch):
    scored = []
    real = ablations.network_scores

    def network_scores(network, segments):
        scored.append(network.state_dict())
        return real(network, segments)

    def score():
        given = {"names": ["report"], "seeds": [0], "settings": SETTINGS}
        list(ablations.measure(Desed.load(data), tmp_path, device="cpu", **given))

    score()
    *_, newest = sorted((tmp_path / "report-0").glob(BEST))
    newest.unlink()  # so that the best is not the last
    (tmp_path / "report-0" / OUTCOME).unlink()
    monkeypatch.setattr(ablations, "network_scores", network_scores)
    score()
    best, last, _ = scored
    kept = load_trained(tmp_path / "report-0", best=False).network.state_dict()
    assert all(torch.equal(last[name], value) for name, value in kept.items())
    assert not all(torch.equal(best[name], value) for name, value in kept.items())


def test_variations_change_what_they_say_and_nothing_else():
    """The name of a row, held to the settings that its run gets."""
    common = ("network.width=16", "steps=3")
    plain = load_preset(table1.WEAKER, common).to_dict()
    changed = {
        "report": {},
        "alpha_0.1": {"alpha": 0.1},
        "alpha_0": {"alpha": 0.0},
        "no_mask": {"network": plain["network"] | {"self_mask": False}},
        "no_excitation": {"network": plain["network"] | {"squeeze_excite": False}},
        "single_scaling": {"scaling": "single"},
        "no_average": {"evaluate_average": False},
        "doubling": {
            "network": plain["network"] | {"width": 8, "multiples": (2, 4, 8, 16)}
        },
    }
    assert changed.keys() == ablations.VARIATIONS.keys() - {"baseline"}
    for name, changes in changed.items():
        variation = ablations.VARIATIONS[name]
        config = load_preset(variation.preset, variation.over(common))
        assert config.to_dict() == plain | changes, name


def test_ablations_average_over_seeds_with_their_spread():
    outcomes = {
        "report": {
            0: ablations.Outcome(0.1, 0.2, 0.3, 0.4, 0.5),
            1: ablations.Outcome(0.1, 0.2, 0.3, 0.4, 0.5),
            2: ablations.Outcome(0.4, 0.2, 0.3, 0.4, 0.5),
        },
        "baseline": {0: ablations.Outcome(0.25, 0.25, 0.25, 0.25, 0.35)},
    }
    rows = ablations.to_markdown(outcomes).splitlines()[2:4]
    assert [cell.strip() for cell in rows[0].split("|")[2:-1]] == [
        "20.0 ± 17.3",
        "20.0 ± 0.0",
        "30.0 ± 0.0",
        "40.0 ± 0.0",
        "50.0 ± 0.0",
    ]
    cells = [cell.strip() for cell in rows[1].split("|")[2:-1]]
    assert cells == ["25.0", "", "", "", "35.0"]


def test_ablations_train_as_they_are_told(data, tmp_path, monkeypatch):
    seen = []

    def experiment(*given, **options):
        seen.append({"given": given, **options})
        raise InterruptedError

    monkeypatch.setattr(ablations, "Experiment", experiment)
    desed = Desed.load(data)
    given = {
        "settings": ["steps=9"],
        "baseline_settings": ["steps=8"],
        "device": "cpu",
        "n_workers": 2,
        "without": ["weak"],
    }
    for name, settings in (
        ("baseline", ("steps=8", "seed=3")),
        ("no_mask", ("steps=9", "network.self_mask=false", "seed=3")),
    ):
        runs = ablations.measure(desed, tmp_path, names=[name], seeds=[3], **given)
        with pytest.raises(InterruptedError):
            next(runs)
        assert seen.pop() == {
            "given": (desed, tmp_path),
            "settings": settings,
            "device": "cpu",
            "n_workers": 2,
            "without": ["weak"],
        }


def test_an_unknown_ablation_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match=r"--only must be one of report, .*, not salt"):
        list(
            ablations.measure(
                Desed.load(data), tmp_path, names=["salt"], seeds=[0], settings=()
            )
        )


def test_a_fingerprint_changes_with_every_change_of_the_data(data, tmp_path):
    def fingerprints():
        subsets = Desed.load(tmp_path / "data").subsets
        return {name: subset.fingerprint for name, subset in subsets.items()}

    shutil.copytree(data, tmp_path / "data")
    before = fingerprints()
    assert len(set(before.values())) == len(before)
    clip = next((tmp_path / "data" / "audio" / "train" / "weak").iterdir())
    clip.write_bytes(clip.read_bytes()[:-2])
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == {"weak"}
    clip.unlink()
    assert fingerprints()["weak"] not in (before["weak"], after["weak"])


def test_an_experiment_uses_the_presets_with_the_settings_over_them(data, tmp_path):
    experiment = Experiment(
        Desed.load(data), tmp_path, settings=SETTINGS, overlay="demo", device="cpu"
    )
    run, clips, config = experiment.fit(table1.STRONGER)
    assert run == tmp_path / table1.STRONGER
    assert (config.alpha, config.steps, config.network.width) == (0.1, 2, 8)
    assert config.learning_rate == 2e-3  # the overlay's
    assert config.frontend == FrontendConfig()
    assert len(clips.validation.segments) == 6


def test_an_experiment_trains_as_its_options_say(data, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        experiment_module, "fit_on_clips", lambda *given: seen.append(given)
    )
    options = {"device": "cpu", "n_workers": 2, "save_every": 7.0}
    experiment = Experiment(
        Desed.load(data),
        tmp_path,
        settings=SETTINGS,
        baseline_settings=BASELINE,
        **options,
    )
    for preset in (table1.BASELINE, table1.WEAKER):
        run, clips, config = experiment.fit(preset)
        assert seen.pop() == (config, clips, RunOptions(run, **options))


ROWS = {
    "1_baseline": (("baseline_crnn", 0), "median"),
    "2_alpha_0.1": (("nec_alpha_0.1", 0), "plain"),
    "3_connected": (("nec_alpha_0.01", 0), "connected"),
    "4_ensemble": (("nec_alpha_0.01", "ensemble"), "plain"),
    "5_ensemble_connected": (("nec_alpha_0.01", "ensemble"), "connected"),
    "tuned": (("nec_alpha_0.01", "ensemble"), "tuned"),
}
"""By the key of a row: which network of which run it scores, and what it does then."""

SHAPES = {
    "plain": [(0, 20), (22, 40), (43, 45), (48, 54)],
    "connected": [(0, 40), (48, 54)],
    "median": [(0, 40), (48, 54)],
    "tuned": [(0, 54)],
}
"""What becomes of 20 frames, a gap of 2, 18 frames, gaps of 3 around a blip of 2, 6 frames."""
TUNED = PostConfig(min_gap=0.3, min_duration=0.0)
"""Fills gaps of 3 frames too."""


class Tagged(torch.nn.Module):
    """Scores that say which network gave them, by where their events begin."""

    def __init__(self, tag):
        super().__init__()
        self.tag = tag
        self.anchor = torch.nn.Parameter(torch.zeros(()))


def place_of(tag):
    """Let each network's events begin at a score frame of their own."""
    networks = [
        (run, n)
        for run in sorted({run for (run, _), _ in ROWS.values()})
        for n in (0, 1, "ensemble")
    ]
    return 5 + 3 * networks.index(tag)


def tagged_scores(network, segments):
    """Score just below the threshold of 0.5 and at it, so that no other will do."""
    for segment in segments:
        scores = np.full((len(segment) // 8, 2), 0.499, np.float32)
        first = place_of(network.tag)
        for a, b in SHAPES["plain"]:
            scores[first + a : first + b, 0] = 0.5
        yield scores


def spans(events):
    return [(event.label, event.onset, event.offset) for event in events]


@dataclasses.dataclass
class Loaded:
    network: torch.nn.Module


def test_every_row_scores_the_network_and_does_to_it_what_its_name_says(
    tmp_path, monkeypatch
):
    """Networks are distinguished by their events: no row may be another's twin."""
    monkeypatch.setattr(
        table1,
        "load_best",
        lambda run: [Loaded(Tagged((run.name, n))) for n in (0, 1)],
    )
    monkeypatch.setattr(
        table1, "load_ensemble", lambda run: Loaded(Tagged((run.name, "ensemble")))
    )
    monkeypatch.setattr(table1, "network_scores", tagged_scores)
    chosen_by, curves_of = [], []

    def tune_post(scores, recordings, grid):
        chosen_by.append((len(scores), recordings, grid))
        return TUNED

    monkeypatch.setattr(table1, "tune_post", tune_post)
    monkeypatch.setattr(table1, "_rocs", lambda *given: curves_of.append(given))
    grids = {"baseline_crnn": load_preset("baseline_crnn").frontend}

    class FakeExperiment:
        device, without = "cpu", ()
        configure = staticmethod(load_preset)

        def fit(self, preset, *, public):
            assert public
            config = load_preset(preset)
            n_frames = config.frontend.segment_frames
            recordings = EvaluationSet(
                np.zeros((2, n_frames, 1), np.float32),
                [[Event("Dog", 1.0, 2.0, 1.0)], [Event("Cat", 1.0, 2.0, 1.0)]],
                ("Dog", "Cat"),
                ("a.wav", "b.wav"),
                (441000, 198450),
            )
            public = dataclasses.replace(recordings)
            clips = SimpleNamespace(validation=recordings, public=public, used=())
            return tmp_path / preset, clips, config

    table = table1.measure(FakeExperiment())
    assert chosen_by == [(2, table.recordings["validation"], FrontendConfig())]
    assert chosen_by[0][1] is not table.recordings["public"]
    (((drawn, _), *given),) = curves_of  # PSDS is that of the ensemble
    assert given == [table.recordings["validation"], FrontendConfig()]
    assert np.argmax(drawn[:, 0]) == place_of(("nec_alpha_0.01", "ensemble"))
    write_events(table, tmp_path)
    for name in ("validation", "public"):
        for key, (tag, shape) in ROWS.items():
            grid = grids.get(tag[0], FrontendConfig())
            found = read_strong(tmp_path / name / f"{key}.tsv")
            first, whole = place_of(tag), grid.score_frame_duration
            assert list(found) == ["a.wav", "b.wav"]
            # What is scored is what is written, to the millisecond.
            (row,) = (row for row in table.rows if row.system.key == key)
            for scored, written in zip(
                row.lists[name].events, found.values(), strict=True
            ):
                assert spans(scored) == spans(written)
            expected = [
                ((first + a) * whole, (first + b) * whole) for a, b in SHAPES[shape]
            ]
            times = [(e.onset, e.offset) for e in found["a.wav"]]
            np.testing.assert_allclose(times, expected, atol=5.01e-4, err_msg=key)
            # The second clip is 4.5 s long: what begins later is padding.
            cut = [(a, min(b, 4.5)) for a, b in expected if a < 4.5]
            times = [(e.onset, e.offset) for e in found["b.wav"]]
            np.testing.assert_allclose(times, cut, atol=5.01e-4, err_msg=key)


def test_rows_are_scored_on_both_lists_and_no_event_reaches_past_its_clip(
    score_again, data, tmp_path, monkeypatch
):
    def everything(network, segments):
        for segment in segments:
            yield np.full((len(segment) // 8, len(Desed.load(data).labels)), 0.9, "f4")

    monkeypatch.setattr(table1, "network_scores", everything)
    rows = score_again()["rows"]
    events = tmp_path / "again" / "events"
    assert [row["key"] for row in rows] == [s.key for s in table1.SYSTEMS]
    for row in rows:
        for name, truth in (
            ("validation", "validation/validation.tsv"),
            ("public", "eval/public.tsv"),
        ):
            reference = read_strong(data / "metadata" / truth)
            found = read_strong(events / name / f"{row['key']}.tsv")
            assert list(found) == list(reference)
            scores = row if name == "validation" else row["public"]
            again = event_f1(
                list(reference.values()), list(found.values()), Desed.load(data).labels
            )
            assert scores["event_f1_macro"] == pytest.approx(again.macro, abs=1e-4)
            ends = {e.offset for events in found.values() for e in events}
            lengths = {10.0} if name == "validation" else {10.0, SHORT}
            if (
                row["key"] == "chance"
            ):  # two clips deal each other what the short one holds
                lengths -= {10.0} if name == "public" else set()
            assert ends == lengths


def test_a_set_that_is_not_desed_is_never_called_desed(made):
    page = (made / "table1.md").read_text()
    assert "Trained and measured on DESED 2019" not in page
    assert "Laid out like DESED: 20 of 20 clips" in page
    assert "these figures do not compare with the report's" in page


def test_the_table_says_which_f1_it_is(made):
    said = (
        "Event-based F1: an estimated event hits a reference event of its label if its"
    )
    assert f"\n{said}" in (made / "table1.md").read_text()
    assert json.loads((made / "table1.json").read_text())["definition"].startswith(said)


@pytest.mark.parametrize(
    ("subset", "marked"),
    [("weak", range(7)), ("unlabel_in_domain", [0])],
)
def test_a_missing_set_is_refused_or_marked_in_every_row_it_was_promised_to(
    data, tmp_path, monkeypatch, capsys, subset, marked
):
    shutil.copytree(data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "audio" / "train" / subset)
    assert run_table(tmp_path / "data", tmp_path / "refused") == 2
    err = capsys.readouterr().err
    assert f"no {subset} clips (no clips: looked in " in err
    assert f"--without {subset}" in err
    monkeypatch.setattr(table1, "network_scores", broken_scores(data))
    marked_table = tmp_path / "marked"
    assert run_table(tmp_path / "data", marked_table, "--without", subset) == 0
    table = json.loads((marked_table / "table1.json").read_text())
    missing = [k for k, v in table["facts"]["data"].items() if not v["present"]]
    assert missing == [subset]
    rows = table["rows"]
    note = f"[trained without {subset} clips]"
    assert [i for i, row in enumerate(rows) if note in row["name"]] == list(marked)
    page = (tmp_path / "marked" / "table1.md").read_text()
    assert f" Trained without the {subset} clips. " in page
    batches = {
        "weak": ["6 (4 synthetic, 2 unlabelled)", "4 (4 synthetic)", "4 (4 synthetic)"],
        "unlabel_in_domain": [
            "6 (3 synthetic, 3 weak)",
            *["4 (2 synthetic, 2 weak)"] * 2,
        ],
    }
    assert re.findall(r"batches of (\d+ \(.*?\))", page) == batches[subset]


@pytest.mark.parametrize(
    "setting",
    ["seed=3", "alpha=0.5", 'system="crnn"', "augment=true", "scenes.duration=60.0"],
)
@pytest.mark.parametrize("command", ["table1", "ablations"])
def test_settings_that_name_the_runs_or_change_nothing_are_refused(
    data, tmp_path, monkeypatch, capsys, command, setting
):
    """Rows of another alpha would bear the names of the report's; clips stay as they are."""
    words = ["--data", str(data), "--run", str(tmp_path / "run"), "--set", setting]
    monkeypatch.setattr(sys, "argv", ["train", command, *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    name = setting.partition("=")[0].partition(".")[0]
    assert f"--set {name}: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_page_says_how_each_network_was_trained(made):
    page = (made / "table1.md").read_text()
    lines = {
        preset: next(x for x in page.splitlines() if f"training of {preset} " in x)
        for preset in (table1.BASELINE, table1.STRONGER)
    }
    resnet = lines[table1.STRONGER]
    for fact in (
        "AdamW with weight decay 0.01",
        "rate 0.001 after a linear warm-up of 3 %",
        "gradients clipped at 5",
        "batches of 4 (2 synthetic, 2 weak)",
        "2 steps, validated 2 times",
        "average (decay 0.999, tail 0.1) is scored",
    ):
        assert fact in resnet
    assert "rate 0.001, gradients not clipped" in lines[table1.BASELINE]
    assert "2 synthetic, 2 weak, 2 unlabelled" in lines[table1.BASELINE]
    (commit,) = re.findall(r"\| commit \| (.*) \|", page)
    for line in lines.values():
        assert line.endswith(f"; by the code of {commit} |")
    assert "the scores of 2 checkpoints of nec_alpha_0.01 of lowest" in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"settings": (*SETTINGS, "alpha=0.7")},
            r"alpha: 0\.7 differs from 0\.1 in .*; resume with",
        ),
        (
            {"settings": (*SETTINGS, "steps=1")},
            r"steps: 1 differs from 2 in .*; resume with",
        ),
        (
            {"settings": (*SETTINGS, "steps=3")},
            r"steps: 3 differs from 2 in .*; resume with",
        ),
        ({"without": ["weak"]}, r"started with other data \(weak differ\)"),
    ],
)
def test_a_finished_run_of_other_settings_or_data_is_not_taken_for_this_one(
    data, made, tmp_path, changes, message
):
    given = {"settings": (*SETTINGS, "seed=0"), "device": "cpu"}
    shutil.copytree(made / table1.STRONGER, tmp_path / table1.STRONGER)
    Experiment(Desed.load(data), tmp_path, **given).fit(table1.STRONGER)
    with pytest.raises(ValueError, match=message):
        Experiment(Desed.load(data), tmp_path, **given | changes).fit(table1.STRONGER)


def test_what_a_later_run_refuses_is_refused_before_the_first_is_trained(
    data, tmp_path, capsys
):
    """The baseline takes these settings, the report's network does not."""
    for setting in ("unlabelled=2", "held_out=0.2"):
        words = ["train", "--data", data, "--run", tmp_path / "run"]
        for line in ("steps=2", "network.width=8", "threads=1", setting):
            words += ["--set", line]
        assert command(words) == 2
        assert f"--set {setting.partition('=')[0]} must be 0" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_ablations_are_refused_before_the_first_is_trained_for_any_of_them(
    data, tmp_path, capsys
):
    shutil.copytree(data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "audio" / "train" / "unlabel_in_domain")
    only = ("--only", "report", "--only", "baseline")
    assert ablate(tmp_path / "data", tmp_path / "run", *only) == 2
    assert "no unlabel_in_domain clips (no clips: " in capsys.readouterr().err
    path = tmp_path / "run" / "no_mask-0" / LAST
    path.parent.mkdir()
    begun = load_preset(table1.WEAKER, [*SETTINGS, "network.self_mask=false"])
    state = {"config": begun.to_dict() | {"batch_size": 2}, "labels": [], "step": 1}
    torch.save(state, path)
    only = ("--only", "report", "--only", "no_mask")
    assert ablate(data, tmp_path / "run", *only) == 2
    assert "batch_size: 4 differs from 2 in " in capsys.readouterr().err
    shutil.rmtree(path.parent)
    only = ("--only", "report", "--only", "doubling")  # which has four blocks
    assert ablate(data, tmp_path / "run", *only) == 2
    assert "network.multiples must be positive, as many" in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


def test_settings_for_the_others_are_refused_where_the_baseline_alone_is_measured(
    data, tmp_path, capsys
):
    words = ["train", "ablations", "--data", data, "--run", tmp_path / "run"]
    only = ["--only", "baseline"]
    assert command([*words, *only, "--set", "steps=2"]) == 2
    assert "use --set-baseline" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_by_the_clock_is_gone_on_with_until_its_time_is_over(data, tmp_path):
    """However many steps it took: their number is that of runs without a time."""
    settings = (*SETTINGS, "minutes=0.0001")
    experiment = Experiment(Desed.load(data), tmp_path, settings=settings, device="cpu")
    path = experiment.fit(table1.WEAKER)[0] / LAST
    state = read_checkpoint(path)
    assert state["step"] >= 2
    experiment.fit(table1.WEAKER)
    assert read_checkpoint(path)["step"] == state["step"]
    torch.save(state | {"elapsed": 0.0}, path)
    experiment.fit(table1.WEAKER)
    assert read_checkpoint(path)["step"] > state["step"]


def test_a_run_of_fit_does_not_go_on_with_other_data(
    data, tmp_path, monkeypatch, capsys
):
    words = ["--data", data, "--run", tmp_path / "run", "--preset", table1.WEAKER]
    words += [word for line in SETTINGS for word in ("--set", line)]

    def fit(*more):
        given = ["train", "fit", *words, "--device", "cpu", *more]
        monkeypatch.setattr(sys, "argv", [str(word) for word in given])
        monkeypatch.setattr(torch, "set_flush_denormal", lambda _: True)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code

    assert fit() == 0
    record = (tmp_path / "run" / DATA).read_bytes()
    longer = ("--resume", "--set", "steps=3")
    assert fit(*longer, "--without", "weak") == 2
    out, err = capsys.readouterr()
    assert "Trained without the weak clips." in out
    assert "started with other data (weak differ)" in err
    (tmp_path / "run" / DATA).unlink()  # as before runs had one
    assert fit(*longer) == 0
    assert (tmp_path / "run" / DATA).read_bytes() == record


def test_a_clip_without_events_is_drawn_without_a_warning(tmp_path):
    recordings = EvaluationSet(
        np.zeros((1, 1024, 128), np.float32), [[]], ("Dog",), ("a.wav",)
    )
    row = SimpleNamespace(validation=SimpleNamespace(events=[[]]))
    table = SimpleNamespace(recordings={"validation": recordings}, rows=[row] * 5)
    draw_clips(tmp_path / "clips.png", table)  # a warning is an error here
    assert (tmp_path / "clips.png").read_bytes().startswith(b"\x89PNG")
