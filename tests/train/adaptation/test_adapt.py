"""Adapting a model file: what is read back, what may change, and what must not."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from archives import members, rewritten
from networks import LABELS, random_trained, scene

from streamsed.config import FrontendConfig, PostConfig
from streamsed.inference.graph.messages import read_model
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile
from streamsed.inference.thresholds.operating_points import OperatingPoint
from streamsed.inference.thresholds.recall_curves import RecallCurves
from train.adaptation import comparison
from train.adaptation.comparison import Candidate, compare
from train.adaptation.criterion import AdaptationCriterion
from train.adaptation.fit import AdaptOptions, adapt, widened
from train.adaptation.own_sounds import AdaptationMixer, OwnSounds
from train.adaptation.restore import folded_norms, restore
from train.adaptation.settings import LASTING, adapted_points
from train.cli.adapt.command import measured_on_what_was_rehearsed
from train.config.network import NetworkConfig
from train.config.scenes import SceneConfig
from train.datasets.scaling import Relative
from train.export.engine_check import CheckSet
from train.export.exporter import export_model
from train.fit.checkpoint import load_trained
from train.mixing.soundbank import Clip, Soundbank
from train.mixing.toy_bank import RATE, beeping, humming, write_bank

NETWORK = NetworkConfig(
    width=8,
    stem_pools=2,
    strides=((1, 1), (2, 2), (1, 2), (1, 1)),
    views=True,
    band_bias=True,
    context=(1, 2),
    dropout=0.1,
    yamnet=8,
    yamnet_alone=0.5,
)
POINTS = [
    OperatingPoint(name, 10.0, PostConfig(onset_threshold=t), {"Dog": 2.0})
    for name, t in (("low", 0.6), ("normal", 0.55), ("high", 0.4))
]
CURVES = RecallCurves(
    10.0, (0.2, 0.8), {"Cat": (0.7, 0.4), "Dog": (0.9, 0.5)}, {"Cat": 9, "Dog": 12}
)


@pytest.fixture(scope="module")
def shipped():
    """A network of the shipped kind, of random weights and statistics."""
    trained = random_trained(
        NETWORK, scaling="relative", scenes=SceneConfig(duration=12.0)
    )
    frontend = FrontendConfig(scaling="relative")
    torch.manual_seed(1)
    with torch.no_grad():
        network = trained.network
        network.band_bias.normal_(0.0, 0.1)
        norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.weight.uniform_(0.7, 1.3)
            norm.bias.uniform_(-0.1, 0.1)
            norm.momentum = 1.0
        x = torch.from_numpy(CheckSet.of_the_scene(frontend).segments)[:, None]
        network.train()(x)  # statistics with which features differ from sound to sound
        network.eval()
        for norm in norms:
            norm.momentum = 0.1
        network.linear.weight.normal_(0.0, 0.3)
        logits = network.logits(x).scores
        network.linear.bias.sub_(logits.mean(dim=(0, 1)))
    config = replace(trained.config, frontend=frontend)
    return replace(trained, config=config, scaling=Relative(top_db=frontend.top_db))


@pytest.fixture(scope="module")
def path(shipped, tmp_path_factory):
    """It, as a model file."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("shipped") / "shipped.pt"
    export_model(
        shipped,
        path,
        name="shipped",
        check_set=scene(),
        post=POINTS[1].post,
        operating_points=POINTS,
        recall_curves=[CURVES],
    )
    return path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Beeps to learn as a new label, and four hums that are called "dog"."""
    folder = tmp_path_factory.mktemp("sounds") / "my_sounds"
    rng = np.random.default_rng(0)
    for label, make, n in (("Beeping", beeping, 8), ("dog", humming, 4)):
        (folder / "foreground" / label).mkdir(parents=True)
        for index in range(n):
            sound = 0.1 * make(rng) / 2
            soundfile.write(folder / f"foreground/{label}/{index}.wav", sound, RATE)
    return folder


def scores_of(network, segments):
    with torch.inference_mode():
        return network(torch.from_numpy(segments)[:, None])


def test_a_file_gives_back_the_network_that_it_was_made_of(shipped, path):
    restored = restore(ModelFile.open(path))
    assert restored.labels == LABELS
    assert restored.config.network == NETWORK
    assert restored.config.frontend == shipped.config.frontend
    assert restored.network.state_dict().keys() == shipped.network.state_dict().keys()
    segments = scene().segments
    for ours, theirs in zip(
        scores_of(restored.network, segments),
        scores_of(shipped.network, segments),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)


@pytest.mark.parametrize("engine", ["openvino", "onnx", "torchscript"])
def test_every_engine_computes_the_network_that_was_restored(path, exported, engine):
    """With YAMNet's features in it; tried with all engines, as others are."""
    file = ModelFile.open(path)
    assert file.info.engines.keys() == ModelFile.open(exported).info.engines.keys()
    record = file.info.engines[f"{engine} fp32"]
    assert record["accepted"]
    assert record["max_difference"] < 1e-4
    model = Model.load(path, device="cpu", engine=engine, precision="fp32")
    network = restore(file).network
    assert network.yamnet is not None
    for segment in scene().segments:
        answer = model.score(segment)
        scores, region = scores_of(network, segment[None])
        np.testing.assert_allclose(answer.scores, scores[0], atol=2e-3)
        np.testing.assert_allclose(answer.region, region[0], atol=2e-3)


def test_the_norms_that_are_undone_are_those_that_export_folds(shipped):
    from train.export.fold_batch_norm import fold

    folded = fold(shipped.network)
    gone = {
        name
        for name, module in folded.named_modules()
        if isinstance(module, torch.nn.Identity)
        and isinstance(shipped.network.get_submodule(name), torch.nn.BatchNorm2d)
    }
    assert set(folded_norms(shipped.network)) == gone


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scaling": "triple"}, "scaling=triple must be relative"),
        ({"system": "crnn"}, "system=crnn with scaling=relative must be resnet with"),
        ({"network": 3}, "network=3 must be a table"),
        ({"seed": "x"}, "seed='x' must be"),
    ],
)
def test_a_file_whose_settings_do_not_fit_is_refused(path, tmp_path, changes, words):
    description = json.loads(members(path)["extra/streamsed.json"])
    description["training"] |= changes
    text = json.dumps(description).encode()
    other = rewritten(path, tmp_path / "other.pt", {"extra/streamsed.json": text})
    with pytest.raises(ValueError, match=f"other.pt: cannot be adapted .*{words}"):
        restore(ModelFile.open(other))


@pytest.mark.parametrize(
    "network", [{"width": 100_000}, {"width": 16}, {"context": [1]}, {"views": False}]
)
def test_a_file_that_claims_another_network_is_refused_before_it_is_made(
    path, tmp_path, network
):
    description = json.loads(members(path)["extra/streamsed.json"])
    description["training"]["network"] |= network
    text = json.dumps(description).encode()
    other = rewritten(path, tmp_path / "other.pt", {"extra/streamsed.json": text})
    with pytest.raises(ValueError, match="cannot be adapted"):
        restore(ModelFile.open(other))


def test_a_model_that_was_not_trained_on_scenes_is_refused(exported):
    with pytest.raises(ValueError, match=r"exported\.pt: cannot be adapted"):
        restore(ModelFile.open(exported))


def test_own_labels_are_matched_and_every_fourth_recording_is_kept_apart(sounds):
    own = OwnSounds.load(sounds, LABELS)
    assert own.labels == (*LABELS, "Beeping")
    assert own.new == ("Beeping",)
    count = {k: len(v) for k, v in own.taught.foreground.items()}
    assert count == {"Beeping": 6, "Dog": 3}
    apart = {k: [c.recording for c in v] for k, v in own.held_out.foreground.items()}
    assert apart["Beeping"] == [f"foreground/Beeping/{i}.wav" for i in (3, 7)]
    assert apart["Dog"] == ["foreground/dog/3.wav"]
    everything = OwnSounds.load(sounds, LABELS, everything=True)
    assert everything.held_out.foreground == {}
    assert everything.taught.n_clips == 12


def test_a_manifest_says_what_is_kept_apart(sounds, tmp_path):
    folder = tmp_path / "my"
    shutil.copytree(sounds, folder)
    rows = [f"foreground/Beeping/{i}.wav,train" for i in range(7)]
    (folder / "manifest.csv").write_text("path,split\n" + "\n".join(rows) + "\n")
    alone = OwnSounds.load(folder, LABELS)
    assert alone.held_out.foreground == {}
    assert {k: len(v) for k, v in alone.taught.foreground.items()} == {"Beeping": 7}
    with (folder / "manifest.csv").open("a") as file:
        file.write("background/room/0.wav,validation\n")
    assert OwnSounds.load(folder, LABELS).held_out.foreground == {}
    with (folder / "manifest.csv").open("a") as file:
        file.write("foreground/Beeping/7.wav,validation\n")
    own = OwnSounds.load(folder, LABELS)
    assert {k: len(v) for k, v in own.held_out.foreground.items()} == {"Beeping": 1}


def test_two_recordings_of_a_label_are_both_taught(tmp_path):
    folder = tmp_path / "my" / "foreground" / "Bell"
    folder.mkdir(parents=True)
    for index in range(2):
        sound = 0.1 * beeping(np.random.default_rng(index))
        soundfile.write(folder / f"{index}.wav", sound, RATE)
    own = OwnSounds.load(tmp_path / "my", LABELS)
    assert own.taught.n_clips == 2
    assert own.held_out.foreground == {}


def test_a_bank_is_rehearsed_without_what_bears_a_new_labels_name(sounds, tmp_path):
    def clips(pitch):
        samples = 0.1 * np.sin(pitch * np.arange(RATE) / RATE).astype(np.float32)
        return (Clip(samples, ((0, RATE),)),)

    own = OwnSounds.load(sounds, LABELS)
    foreground = {"Cat": clips(4000), "Siren": clips(2000)}
    background = {"beeping": clips(3000), "fan": clips(700)}
    bank = Soundbank(foreground, background, RATE)
    mixer = AdaptationMixer(own, SceneConfig(duration=12.0), rehearsed=bank)
    assert mixer.bank.labels == ("Beeping", "Cat", "Dog")
    assert set(mixer.bank.background) == {"fan"}
    scenes = [mixer.mix(np.random.default_rng(i)) for i in range(24)]
    seen = [{event.label for event in each.events} for each in scenes]
    assert any("Cat" in each for each in seen)
    assert any("Beeping" in each for each in seen)
    assert not any({"Cat", "Beeping"} <= each for each in seen)


def test_old_scores_are_kept_but_where_a_shipped_label_was_mixed(shipped):
    labels = (*LABELS, "Beeping")
    criterion = AdaptationCriterion(
        shipped.network,
        labels,
        ("Beeping", "Dog"),
        ["Beeping", "Dog"],
        edge=1.0,
        n_edge=2,
    )
    y = torch.zeros(1, 3, 4)
    y[0, 1, 3] = 1.0  # a beep
    y[0, 2, 1] = 1.0  # a dog
    old = torch.full((1, 3, 3), 0.25)
    target = criterion.targets(y, old)[0].tolist()
    assert target == [[0.25, 0.25, 0.25, 0], [0.25, 0.25, 0.25, 1], [0, 1, 0, 0]]


def test_yamnet_stays_out_of_8_bits_and_no_lines_of_source_are_in_the_file(path):
    quantized = {
        node.inputs[0]
        for node in read_model(
            ModelFile.open(path).archive.read("extra/int8.onnx")
        ).nodes
        if node.operator == "QuantizeLinear"
    }
    assert any("blocks" in name for name in quantized)
    assert not any("yamnet" in name for name in quantized)
    with zipfile.ZipFile(path) as archive:
        assert not any(name.endswith(".debug_pkl") for name in archive.namelist())


def test_what_is_kept_is_what_the_old_network_says_of_whole_segments(shipped):
    """Though the one that learns is in training, when features of both kinds are left out."""
    answers = []

    class Listening(AdaptationCriterion):
        def targets(self, y, old):
            answers.append(old)
            return super().targets(y, old)

    labels = (*LABELS, "Beeping")
    criterion = Listening(
        shipped.network, labels, ("Beeping",), ["Beeping"], edge=1.0, n_edge=2
    )
    segments = scene().segments
    batch = {"x": torch.from_numpy(segments)[:, None], "y": torch.zeros(2, 128, 1)}
    network = widened(shipped, labels).train()
    for _ in range(4):
        criterion(network, network, batch, 0.0)
    expected = scores_of(shipped.network, segments).scores
    for old in answers:
        torch.testing.assert_close(old, expected, atol=1e-6, rtol=0)


def test_new_labels_begin_silent_and_old_ones_as_they_were(shipped):
    network = widened(shipped, (*LABELS, "Beeping", "Kettle"))
    segments = scene().segments
    old, new = scores_of(shipped.network, segments), scores_of(network, segments)
    torch.testing.assert_close(new.scores[..., :3], old.scores, atol=1e-6, rtol=0)
    torch.testing.assert_close(new.region, old.region, atol=1e-6, rtol=0)
    assert float(new.scores[..., 3:].max()) < 0.02


@pytest.fixture(scope="module")
def adapted(path, sounds, tmp_path_factory):
    base = restore(ModelFile.open(path))
    own = OwnSounds.load(sounds, LABELS)
    options = AdaptOptions(
        tmp_path_factory.mktemp("runs") / "run",
        steps=4,
        learning_rate=1e-2,
        batch_size=4,
        threads=1,
        n_workers=0,
    )
    return base, own, adapt(base, own, options), options


def test_only_the_rows_of_taught_labels_learn(adapted):
    base, own, trained, _ = adapted
    before, after = base.network.state_dict(), trained.network.state_dict()
    for name, value in before.items():
        if not name.startswith("linear."):
            assert torch.equal(after[name], value), name
    for row, label in enumerate(own.labels):
        taught = label in own.taught.foreground
        for name in ("linear.weight", "linear.bias"):
            same = row < len(LABELS) and torch.equal(
                before[name][row], after[name][row]
            )
            assert same != taught, (name, label)


def test_a_taught_shipped_label_goes_half_of_the_way(adapted):
    base, own, trained, options = adapted
    learnt = load_trained(options.folder, best=False).network.linear.weight
    row = own.labels.index("Dog")
    halfway = (learnt[row] + base.network.linear.weight[row]) / 2
    torch.testing.assert_close(trained.network.linear.weight[row], halfway)
    new = own.labels.index("Beeping")
    assert torch.equal(trained.network.linear.weight[new], learnt[new])


def test_a_step_teaches_the_new_label_and_leaves_the_trunk_alone(shipped):
    x = torch.from_numpy(CheckSet.of_the_scene(shipped.config.frontend).segments)
    x = x[:2, None]
    y = torch.zeros(len(x), 128, 1)
    y[0, 20:90] = 1.0  # something that is to be called a beep
    network = widened(shipped, (*LABELS, "Beeping"))
    criterion = AdaptationCriterion(
        *(shipped.network, (*LABELS, "Beeping"), ("Beeping",), ["Beeping"]),
        edge=1.0,
        n_edge=2,
    )
    batch = {"x": x, "y": y}
    before = criterion(network, network, batch, 0.0)
    before["total"].backward()
    taught = {n for n, p in network.named_parameters() if p.grad is not None}
    assert taught == {"linear.weight", "linear.bias"}
    with torch.no_grad():
        for name in taught:
            parameter = network.get_parameter(name)
            parameter -= 1e-3 * parameter.grad
        old, new = shipped.network(x), network(x)
        torch.testing.assert_close(new.scores[..., :3], old.scores, atol=1e-6, rtol=0)
        after = criterion(network, network, batch, 0.0)
    for parts in (("total",), ("strong", "classification")):
        was, now = (sum(each[p].item() for p in parts) for each in (before, after))
        assert now < was


def test_nothing_changed_is_full_agreement(path, sounds):
    base = restore(ModelFile.open(path))
    own = OwnSounds.load(sounds, LABELS)
    one = Candidate(base, PostConfig(0.5))
    found = compare(one, one, held_out=own.held_out, taught=own.taught, n=4)
    assert found.unchanged == 1.0
    assert all(row.before == row.after for row in found.own)
    assert [(row.label, row.n_recordings) for row in found.own] == [
        ("Beeping", 2),
        ("Dog", 1),
    ]
    assert "stayed as they were: 100.0%" in "\n".join(found.lines())


def test_new_labels_are_measured_over_backgrounds_that_do_not_bear_their_name(
    path, sounds, monkeypatch
):
    drawn = []

    def draw(bank, candidate, n):
        drawn.append(bank)
        return comparison_draw(bank, candidate, n)

    comparison_draw = comparison._draw
    monkeypatch.setattr(comparison, "_draw", draw)
    base = restore(ModelFile.open(path))
    own = OwnSounds.load(sounds, LABELS)
    after = replace(base, network=widened(base, own.labels), labels=own.labels)
    clip = own.taught.foreground["Beeping"][:1]
    foreground = {"Dog": own.taught.foreground["Dog"], "Siren": clip}
    bank = Soundbank(foreground, {"beeping": clip, "fan": clip}, RATE)
    candidates = (Candidate(each, PostConfig(0.5)) for each in (base, after))
    found = compare(
        *candidates,
        held_out=own.held_out,
        taught=own.taught,
        measured=bank,
        n=2,
    )
    assert list(drawn[1].foreground) == ["Dog"]
    assert list(drawn[1].background) == ["fan"]
    assert found.false_new is not None


def test_old_labels_keep_their_settings_and_new_ones_get_plain_ones(path, sounds):
    info = ModelFile.open(path).info
    taught = OwnSounds.load(sounds, LABELS).taught
    lasting = replace(
        taught, foreground={**taught.foreground, "Hum": taught.foreground["Dog"]}
    )
    points = adapted_points(info, ("Beeping", "Hum"), lasting)
    assert [(each.sensitivity, each.settle) for each in points] == [
        (each.sensitivity, each.settle) for each in POINTS
    ]
    for new, old in zip(points, POINTS, strict=True):
        settings = new.post.per_label("onset_threshold", (*LABELS, "Beeping", "Hum"))
        assert settings[:3] == old.post.per_label("onset_threshold", LABELS)
        assert new.false_alarms == {}
    onsets = [each.post.onset_threshold["Beeping"] for each in points]
    assert onsets == [0.67, 0.5, 0.33]
    for name in ("rise_threshold", "offset_threshold"):
        lower = [getattr(each.post, name)["Beeping"] for each in points]
        assert lower == pytest.approx([onset / 2 for onset in onsets], abs=0.001)
    assert points[0].post.smoothing["Hum"] == LASTING["smoothing"]
    assert points[0].post.smoothing["Beeping"] == 0.0
    assert points[0].post.onset_search["Hum"] == LASTING["onset_search"]
    assert points[0].post.onset_search["Beeping"] == 0.0


def test_new_labels_get_lower_thresholds_where_a_bank_was_rehearsed(path, sounds):
    info = ModelFile.open(path).info
    taught = OwnSounds.load(sounds, LABELS).taught
    points = adapted_points(info, ("Beeping",), taught, rehearsed=True)
    onsets = [each.post.onset_threshold["Beeping"] for each in points]
    assert onsets == [0.33, 0.2, 0.11]
    for new, old in zip(points, POINTS, strict=True):
        onset = new.post.onset_threshold
        assert {onset[k] for k in LABELS} == {old.post.onset_threshold}


def test_a_bank_without_splits_that_is_rehearsed_is_no_measure(tmp_path):
    split, whole = write_bank(tmp_path / "split", n_recordings=1), tmp_path / "whole"
    whole.mkdir()
    for measure, said in (
        (None, [whole]),
        ([split], []),
        ([whole, split], [whole]),
    ):
        assert measured_on_what_was_rehearsed([split, whole], measure) == said


def run_adapt(*arguments):
    command = [sys.executable, "-m", "train", "adapt", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_a_model_that_detects_old_and_new_labels(
    path, sounds, tmp_path, streamsed
):
    output, run, bank = tmp_path / "my.pt", tmp_path / "run", tmp_path / "bank"
    write_bank(bank, n_recordings=5)
    (bank / "foreground" / "Hissing").rename(bank / "foreground" / "Cat")
    manifest = bank / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("/Hissing/", "/Cat/"))
    tiny = ("--steps", 2, "--batch-size", 4, "--n", 3, "--threads", 1, "--workers", 0)
    command = (path, "--soundbank", sounds, "-o", output, "--run", run, *tiny)
    ran = run_adapt(*command, "--rehearse", bank)
    assert ran.returncode == 0, ran.stderr
    assert "your recordings, kept apart: event F1 before and after" in ran.stdout
    assert "shipped labels: event F1 before and after (recordings)" in ran.stdout
    assert "events of new labels where there are none" in ran.stdout
    info = ModelFile.open(output).info
    assert info.labels == (*LABELS, "Beeping")
    assert info.name == "my"
    assert info.post.onset_threshold["Beeping"] == 0.2
    (curves,) = info.recall_curves
    assert curves.recall == {"Cat": (0.7, 0.4)}  # of what was not taught
    assert [each.sensitivity for each in info.operating_points] == [
        each.sensitivity for each in POINTS
    ]
    figures = info.scores_at_export["adaptation"]
    assert set(figures["own_event_f1"]) == {"Beeping", "Dog"}
    assert figures["own_event_f1"]["Beeping"]["before"] is None
    assert figures["shipped_event_f1"].keys() == {"Cat"}
    assert ModelFile.open(path).info.name in info.training["data"]
    detected = streamsed(
        *("file", sounds / "foreground/Beeping/0.wav", "--model", output),
        *("--label", "beeping", "--threshold", "0"),
    )
    assert "Beeping" in detected.stdout
    again = run_adapt(*command)
    assert again.returncode == 2
    assert "the folder exists; use --resume to continue the run" in again.stderr


def test_a_run_that_is_over_goes_on_where_it_was(adapted, path):
    _, own, trained, options = adapted
    base = restore(ModelFile.open(path))
    again = adapt(base, own, replace(options, resume=True))
    assert again.step == trained.step
    for name, value in trained.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)
    assert (options.folder / "log.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.pt", "--soundbank", "{sounds}"], "nothing.pt"),
        (["{path}", "--soundbank", "{sounds}/none"], "none"),
        (["{path}", "--soundbank", "{sounds}", "--minutes", "0"], "--minutes"),
        (["{exported}", "--soundbank", "{sounds}"], "cannot be adapted"),
    ],
)
def test_what_is_wrong_is_one_line(path, sounds, exported, tmp_path, arguments, words):
    given = [
        each.format(path=path, sounds=sounds, exported=exported) for each in arguments
    ]
    ran = run_adapt(*given, "-o", tmp_path / "my.pt", "--run", tmp_path / "run")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "my.pt").exists()
