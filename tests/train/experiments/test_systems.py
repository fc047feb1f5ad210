"""What the rows of table 1 are called, and what is written and said of them."""

from types import SimpleNamespace

import pytest

from streamsed.events import Event
from train.cli.table1 import table1 as command
from train.config.preset import load_preset
from train.experiments import ablations
from train.experiments.experiment import BASELINE, STRONGER, WEAKER
from train.experiments.report import to_markdown, write_events
from train.experiments.systems import SYSTEMS, marked
from train.experiments.table1 import Scored, SystemScore, Table1
from train.experiments.training_facts import describe_training
from train.metrics.f1 import F1, Intervals

FIRST, SECOND = SYSTEMS[:2]


def name_of(system, *settings, without=(), overlay=None):
    config = load_preset(system.run, settings, overlay=overlay)
    return marked(system, config, without).name


def test_a_row_is_called_as_in_the_report_if_only_its_training_differs():
    for system in SYSTEMS:
        assert name_of(system) == system.name
        assert name_of(system, "steps=7", "learning_rate=0.1") == system.name


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
    outcome = ablations.Outcome(0.1, 0.2, 0.3, 0.4, 0.5, lacking=("weak",))
    table = ablations.to_markdown({"no_mask": [outcome]})
    assert "| no self-mask [trained without weak clips] | 10.0 |" in table


def test_what_was_trained_is_described_from_its_settings():
    plain = describe_training(load_preset(STRONGER))
    assert plain.startswith("the report's network, triple scaling, α = 0.1; AdamW")
    assert plain.endswith("times of events rounded to the nearest score frame")
    config = load_preset(WEAKER, ["network.width=16", "network.self_mask=false"])
    assert describe_training(config).startswith(
        "the report's network but for width=16, self_mask=False, triple scaling, α = 0.01;"
    )
    baseline = describe_training(load_preset(BASELINE))
    assert baseline.startswith("CRNN of 64 filters, standardize scaling; Adam, ")
    assert baseline.endswith("times of events rounded down to score frames")
    for settings, length in (
        ([], "21000 steps, validated 100 times"),
        (["steps=3"], "3 steps, validated 3 times"),  # at most after each step
        (["minutes=5"], "5 minutes, validated 100 times"),
    ):
        assert f"; {length}, " in describe_training(load_preset(BASELINE, settings))


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
