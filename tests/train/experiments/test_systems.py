"""What the rows of table 1 are called, and what is written and said of them."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from streamsed.events import Event
from train.cli.ablations import ablations as ablate
from train.cli.table1 import table1 as command
from train.config.preset import load_preset
from train.datasets.data_module import TRAINED
from train.experiments import ablations, report, run_data
from train.experiments.experiment import BASELINE, STRONGER, WEAKER
from train.experiments.report import to_markdown, write_events
from train.experiments.systems import SYSTEMS, marked
from train.experiments.table1 import Scored, SystemScore, Table1
from train.experiments.training_facts import describe_run, describe_training
from train.metrics.f1 import F1, Intervals

FIRST, SECOND = SYSTEMS[:2]


def name_of(system, *settings, without=(), overlay=None):
    config = load_preset(system.run, settings, overlay=overlay)
    return marked(system, config, without).name


def test_the_rows_are_those_of_the_reports_table_in_its_order_with_its_figures():
    rows = [(system.run, system.name, system.reported) for system in SYSTEMS]
    assert rows[:5] == [
        ("baseline_crnn", "DCASE baseline (CRNN, mean teacher)", 23.70),
        ("nec_alpha_0.1", "ResNet18 + self-mask (α = 0.1)", 31.65),
        (
            "nec_alpha_0.01",
            "ResNet18 + self-mask (α = 0.01) + connecting & cutting",
            32.87,
        ),
        ("nec_alpha_0.01", "ResNet18 + self-mask (α = 0.01) + ensemble", 34.51),
        (
            "nec_alpha_0.01",
            "ResNet18 + self-mask (α = 0.01) + ensemble + connecting & cutting",
            36.09,
        ),
    ]
    assert [row[2] for row in rows[5:]] == [None, None]


def test_a_row_is_called_as_in_the_report_if_only_its_training_differs():
    for system in SYSTEMS:
        assert name_of(system) == system.name
        assert name_of(system, "steps=7", "learning_rate=0.1") == system.name


def test_the_baseline_is_not_called_another_for_settings_that_it_does_not_have():
    for setting in ("network.self_mask=false", "network.multiples=[1, 2, 4, 7]"):
        assert name_of(FIRST, setting) == FIRST.name
        assert name_of(SECOND, setting) == SECOND.name + " [network changed]"
    assert name_of(FIRST, "network.width=16") == FIRST.name + " [network changed]"


@pytest.mark.parametrize(
    ("setting", "note"),
    [
        ("network.width=16", " [network changed]"),
        ("network.self_mask=false", " [network changed]"),
        ("frontend.n_mels=64", " [frontend changed]"),
        ('scaling="single"', " [scaling changed]"),
    ],
)
def test_a_row_of_another_network_or_other_features_says_so(setting, note):
    assert name_of(SECOND, setting) == SECOND.name + note


def test_the_rows_of_the_demonstration_say_that_their_networks_are_others():
    for system in SYSTEMS:
        assert name_of(system, overlay="demo").endswith(" [network changed]")


def test_the_baseline_without_unlabelled_clips_says_so_however_they_were_left_out():
    note = " [trained without unlabel_in_domain clips]"
    assert name_of(FIRST, "unlabelled=0") == FIRST.name + note
    assert name_of(FIRST, without=["unlabel_in_domain"]) == FIRST.name + note
    assert name_of(SECOND, without=["unlabel_in_domain"]) == SECOND.name


def test_an_ablation_that_lacked_clips_says_so_in_its_row():
    outcome = ablations.Outcome(0.1, 0.2, 0.3, 0.4, 0.5)
    lacking = dataclasses.replace(outcome, lacking=("weak",))
    for seeds in ({0: lacking}, {0: outcome, 1: lacking}):  # whichever seed it is
        table = ablations.to_markdown({"no_mask": seeds})
        assert "| no self-mask [trained without weak clips] | 10.0 " in table


def test_ablations_say_which_seeds_were_trained_how():
    outcome = ablations.Outcome(
        *(0.1, 0.2, 0.3, 0.4, 0.5), data="Of this.", training="So", commit="aaa"
    )
    later = dataclasses.replace(outcome, commit="bbb")
    table = ablations.to_markdown({"no_mask": {0: outcome, 2: outcome, 3: later}})
    assert table.splitlines()[-2:] == [
        "- no self-mask, seeds 0 and 2: So. Of this. Scored at aaa.",
        "- no self-mask, seed 3: So. Of this. Scored at bbb.",
    ]
    assert table.startswith("| event F1, macro (%) | one checkpoint | ")


LIKE_TORCH = (
    "initial weights and batch norms (epsilon 1e-05) as torch has them, no dropout"
)
OPTIMISED = (
    "AdamW with weight decay 0.01 of every weight, means over 10 and 1000 steps, rate 0.001 "
    "after a linear warm-up of 3 % of the run, then down a cosine to a hundredth, gradients "
    "clipped at 5"
)
REST = (
    "arithmetic in fp32 (on a GPU, convolutions and recurrence in TF32), clips as they are, "
    "times of events rounded "
)


def test_the_training_of_the_reports_system_is_described_in_full():
    for preset, alpha in ((STRONGER, "0.1"), (WEAKER, "0.01")):
        assert describe_training(load_preset(preset)).split("; ") == [
            f"the report's network, triple scaling, α = {alpha}",
            LIKE_TORCH,
            OPTIMISED,
            "batches of 16 (8 synthetic, 8 weak), each set shuffled for each pass",
            "20000 steps, validated 20 times, the checkpoint of lowest validation loss",
            "the weights' average (decay 0.999, tail 0.1) is scored",
            REST + "to the nearest score frame",
        ]


def test_the_training_of_the_baseline_is_described_in_full():
    assert describe_training(load_preset(BASELINE)).split("; ") == [
        "CRNN of 64 filters, standardize scaling",
        (
            "initial weights by Glorot, orthogonal in the recurrence, N(0, 0.01) in linear "
            "layers, batch norms of epsilon 0.001, dropout of a half"
        ),
        "Adam, means over 10 and 1000 steps, rate 0.001, gradients not clipped",
        (
            "batches of 24 (6 synthetic, 6 weak, 12 unlabelled), each set shuffled for each "
            "pass"
        ),
        (
            "21000 steps, validated 100 times, the checkpoint of highest event F1 plus tagging "
            "F1 on the 20 % of synthetic and weak clips that were held out"
        ),
        "the last weights are scored",
        "the teacher is their average (decay 0.999, tail 1), under noise of 0.25",
        "agreement with it counts 2 times, in full after 50 % of the run",
        REST + "down to score frames",
    ]


@pytest.mark.parametrize(
    ("preset", "setting", "said"),
    [
        (WEAKER, "network.width=16", "the report's network but for width=16, triple"),
        (WEAKER, "network.self_mask=false", "network but for self_mask=False, triple"),
        (WEAKER, "network.dropout=0.2", "as torch has them, dropout of 0.2;"),
        (WEAKER, "weight_decay=0.1", "AdamW with weight decay 0.1 of every weight,"),
        (WEAKER, "weight_decay=0", "; Adam, means over"),
        (WEAKER, "warmup=0.5", "a linear warm-up of 50 % of the run"),
        (WEAKER, "constant_rate=true", "rate 0.001, gradients clipped at 5;"),
        (WEAKER, "clip_norm=inf", "gradients not clipped;"),
        (WEAKER, "steps=3", "3 steps, validated 3 times,"),  # at most after each step
        (WEAKER, "minutes=5", "5 minutes, validated at most 20 times,"),
        (
            WEAKER,
            "ema_decay=0.9",
            "the weights' average (decay 0.9, tail 0.1) is scored;",
        ),
        (WEAKER, "ema_decay=0", "; the last weights are scored; arithmetic"),
        (WEAKER, "evaluate_average=false", "; the last weights are scored; arithmetic"),
        (WEAKER, 'precision="bf16"', "arithmetic in bf16, clips"),
        (BASELINE, "network.width=32", "CRNN of 32 filters, standardize scaling;"),
        (BASELINE, "network.dropout=0.2", "dropout of a half;"),  # which has its own
        (BASELINE, "minutes=5", "5 minutes, validated at most 100 times,"),
        (BASELINE, "held_out=0", "the checkpoint of lowest validation loss;"),
        (BASELINE, "held_out=0.1", "tagging F1 on the 10 % of synthetic and weak"),
        (BASELINE, "ramp=0.2", "counts 2 times, in full after 20 % of the run;"),
        (
            BASELINE,
            "evaluate_average=true",
            "; the weights' average (decay 0.999, tail 1) is scored; the teacher is their",
        ),
    ],
)
def test_what_was_trained_is_described_from_its_settings(preset, setting, said):
    assert said in describe_training(load_preset(preset, [setting]))


def test_without_weak_clips_none_are_said_to_have_chosen_the_checkpoint():
    said = describe_training(load_preset(BASELINE), ("synthetic", "unlabel_in_domain"))
    assert "highest event F1 on the 20 % of synthetic clips that were held out;" in said
    assert "weak" not in said


def test_the_code_that_trained_a_run_is_said_not_only_that_which_scores_it(
    tmp_path, monkeypatch
):
    def train(commit, step):
        monkeypatch.setattr(run_data, "current_commit", lambda: commit)
        run_data.note_commit(tmp_path, step)

    def said():
        text = describe_run(tmp_path, load_preset(WEAKER), TRAINED)
        assert text.startswith(describe_training(load_preset(WEAKER)) + "; ")
        return text.rpartition("; ")[2]

    assert said() == "by the code of unknown"  # trained before there were records
    train("aaa", 50)
    assert said() == "by the code of unknown and aaa"
    train("bbb", 0)  # what was trained before is not gone on with
    assert said() == "by the code of bbb"
    train("ccc", 50)
    train("ccc", 70)
    assert said() == "by the code of bbb and ccc"


def test_the_machine_of_a_table_is_that_which_scored_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", "card of {}".format)
    assert report._device("cuda:1") == "card of cuda:1"
    assert report._device("cpu").endswith(", no GPU")


def test_what_table1_is_told_reaches_its_runs(monkeypatch, tmp_path):
    seen = {}

    def refuse(*given, **options):
        seen.update(options, given=given)
        raise StopIteration

    module = command.__globals__
    monkeypatch.setitem(module, "Experiment", refuse)
    monkeypatch.setitem(module, "Desed", SimpleNamespace(load=lambda _: "desed"))
    options = {"device": "cpu", "save_every": 7.0, "without": ["weak"]}
    own = {"settings": ["steps=9"], "baseline_settings": ["steps=8"]}
    for given, baseline in ((own, ("steps=8", "seed=3")), ({}, None)):
        with pytest.raises(StopIteration):
            command(
                data="somewhere", run=tmp_path, seed=3, workers=2, **options, **given
            )
        assert seen == {
            "given": ("desed", tmp_path),
            "settings": ("steps=9", "seed=3") if given else ("seed=3",),
            "baseline_settings": baseline,
            "overlay": None,
            "n_workers": 2,
            **options,
        }


def test_a_table_of_mixed_data_says_first_that_it_is_none_of_desed(
    monkeypatch, tmp_path
):
    notes = []

    def write_report(*_, note, **__):
        notes.append(note)
        raise StopIteration

    module = command.__globals__
    for name in ("write_bank", "mix_data", "Experiment", "measure"):
        monkeypatch.setitem(
            module, name, lambda *_, **__: SimpleNamespace(used=(), lacking=())
        )
    monkeypatch.setitem(module, "Desed", SimpleNamespace(load=lambda _: None))
    monkeypatch.setitem(module, "describe_data", lambda *_, **__: "Counted.")
    monkeypatch.setitem(module, "write_report", write_report)
    for options in ({"soundbank": tmp_path}, {"demo": True}, {"data": tmp_path}):
        with pytest.raises(StopIteration):
            command(run=tmp_path, **options)
    mixed, demo, recorded = notes
    assert mixed.startswith(
        "Trained and measured on soundscapes mixed from a sound bank"
    )
    assert ", not on DESED: these are not results on DESED, " in mixed
    assert demo == f"A demonstration: few clips, a small network. {mixed}"
    assert mixed.endswith(" Counted.")
    assert recorded == "Counted."


def test_what_ablations_is_told_reaches_its_runs(monkeypatch, tmp_path):
    seen = {}

    def refuse(*given, **options):
        seen.update(options, given=given)
        raise StopIteration

    module = ablate.__globals__
    monkeypatch.setitem(module, "measure", refuse)
    monkeypatch.setitem(module, "Desed", SimpleNamespace(load=lambda _: "desed"))
    options = {
        "settings": ["steps=9"],
        "baseline_settings": ["steps=8"],
        "device": "cpu",
        "without": ["weak"],
    }
    only = ["baseline", "no_mask", "baseline"]
    with pytest.raises(StopIteration):
        ablate(data="somewhere", run=tmp_path, only=only, seeds=3, workers=2, **options)
    assert seen == {
        "given": ("desed", tmp_path),
        "names": ["baseline", "no_mask"],
        "seeds": range(3),
        "n_workers": 2,
        **options,
    }


def test_settings_of_a_demonstration_are_not_called_those_of_the_presets(monkeypatch):
    seen = {}

    def write_report(*_, about, **__):
        seen.update(about)
        raise StopIteration

    module = command.__globals__
    monkeypatch.setitem(
        module, "measure", lambda _: SimpleNamespace(used=(), lacking=())
    )
    monkeypatch.setitem(module, "describe_data", lambda *_, **__: "")
    monkeypatch.setitem(module, "Experiment", lambda *_, **__: None)
    monkeypatch.setitem(module, "Desed", SimpleNamespace(load=lambda _: None))
    monkeypatch.setitem(module, "write_report", write_report)
    for demo, said in (
        (True, "those of the preset `demo`"),
        (False, "those of the presets"),
    ):
        with pytest.raises(StopIteration):
            command(data="somewhere", demo=demo)
        assert seen["settings"] == said
    with pytest.raises(StopIteration):
        command(data="somewhere", demo=True, settings=["steps=9"])
    assert seen["settings"] == "those of the preset `demo`, steps=9"


def test_a_demonstration_has_one_seed_for_data_and_networks_and_small_networks(
    monkeypatch,
):
    seen = {}

    def experiment(_desed, _folder, **given):
        seen.update(given)
        raise StopIteration

    def mixed(*_, seed, **__):
        seen.update(seed=seed)
        return "somewhere", ""

    module = command.__globals__
    monkeypatch.setitem(module, "Experiment", experiment)
    monkeypatch.setitem(module, "Desed", SimpleNamespace(load=lambda _: None))
    monkeypatch.setitem(module, "_mixed", mixed)
    with pytest.raises(StopIteration):
        command(demo=True, seed=3)
    assert (seen["seed"], seen["settings"]) == (3, ("seed=3",))
    assert seen["overlay"] == "demo"


@pytest.mark.parametrize("with_public", [True, False])
def test_every_figure_of_a_row_stands_in_its_column(with_public):
    def scored(first):
        """Give six numbers in a row, in hundredths."""
        a, b, c, d, e, f = ((first + n) / 100 for n in range(6))
        return Scored([], F1(a, b, {}), Intervals((c, d), (e, f), {}))

    lists = {"validation": scored(20), "public": scored(60)}
    if not with_public:
        del lists["public"]
    row = SystemScore(SECOND, lists)
    page = to_markdown(Table1([row], lists, (), {}, {}, ()), {}, "a note")
    (header,) = (x for x in page.splitlines() if x.startswith("| event-based F1"))
    (line,) = (x for x in page.splitlines() if x.startswith(f"| {SECOND.name} |"))
    assert [cell.strip() for cell in header.strip("|").split("|")][1:] == [
        *("validation: report", "here", "95 % of draws", "micro"),
        *("public: here", "95 % of draws", "micro"),
    ]
    public = ["60.00", "62.0 to 63.0", "61.00"] if with_public else ["", "", ""]
    assert [cell.strip() for cell in line[2:-2].split("|")] == [
        *(SECOND.name, "31.65", "20.00", "22.0 to 23.0", "21.00"),
        *public,
    ]


def test_labels_that_a_list_could_not_score_are_named_below_the_table():
    def scored(*absent):
        return Scored([], F1(0.5, 0.5, {}, absent), Intervals((0, 1), (0, 1), {}))

    def page(**lists):
        rows = [SystemScore(SECOND, lists), SystemScore(FIRST, lists)]
        return to_markdown(Table1(rows, lists, (), {}, {}, ()), {}, "a note")

    assert "leaves out" not in page(validation=scored(), public=scored())
    said = page(validation=scored(), public=scored("Cat", "Dog"))
    assert said.count("leaves out") == 1
    assert (
        "\nThe macro mean on the public list leaves out Cat and Dog, of which no"
        in said
    )


def test_a_submission_has_every_clip_a_clip_without_events_by_its_name_alone(tmp_path):
    events = [[], [Event("Dog", 1.0, 2.25, 0.9), Event("Cat", 3.0, 4.0, 0.8)]]
    scored = Scored(events, F1(0.5, 0.5, {}), Intervals((0, 1), (0, 1), {}))
    row = SystemScore(FIRST, {"public": scored})
    recordings = {"public": SimpleNamespace(names=("a.wav", "b.wav"))}
    write_events(Table1([row], recordings, (), {}, {}, ()), tmp_path)
    assert (tmp_path / "public" / f"{FIRST.key}.tsv").read_text() == (
        "filename\tonset\toffset\tevent_label\n"
        "a.wav\t\t\t\n"
        "b.wav\t1.000\t2.250\tDog\n"
        "b.wav\t3.000\t4.000\tCat\n"
    )
