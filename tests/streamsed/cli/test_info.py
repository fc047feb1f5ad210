"""What `streamsed info` says: a page for people, everything for programs."""

import hashlib
import json
from dataclasses import replace

import pytest
from tables import shown

from streamsed.cli.info import info_dict, info_page
from streamsed.config import PostConfig
from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.thresholds.operating_points import OperatingPoint


@pytest.fixture(scope="module")
def opened(make_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("info") / "m.pt"
    post = PostConfig(onset_threshold={"Dog [bark]": 0.75, "Cat": 0.5})
    scores = {
        "event_f1_macro": 0.1234,
        "event_f1_per_label": {"Dog [bark]": 0.9876},
        "data": "noise\x1b[2J",
        "false_alarms": {"Dog [bark]": 0.5},
    }
    make_model(
        path,
        labels=("Dog [bark]", "Cat"),
        post=post,
        changes={"scores_at_export": scores},
    )
    file = ModelFile.open(path)
    return file, Model.load(file, device="cpu", engine="torchscript")


def test_the_page_says_what_the_model_is_and_what_runs_it(opened):
    file, _ = opened
    text = shown(info_page(*opened))
    for expected in (
        "tiny",
        hashlib.sha256(file.path.read_bytes()).hexdigest(),
        "exported by you",
        "44100 Hz, 128 mel bands",
        "steps of 5 s, latency 10 s",
        "12.3 % macro",
        "cpu (torchscript fp32, ",
    ):
        assert expected in text


def test_the_page_has_a_row_for_each_label_with_its_settings_and_score(opened):
    text = shown(info_page(*opened))
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert rows["Dog [bark]"][-8:-2] == ["0.75", "0.75", "0.20", "s", "0.20", "s"]
    assert rows["Dog [bark]"][-2:] == ["98.8", "%"]
    assert rows["Cat"][-1] == "–"


def test_the_page_is_for_people(opened):
    text = shown(info_page(*opened))
    assert not set("{}'\x1b") & set(text)
    assert "Dog [bark] 0.5" in text
    assert "noise\\x1b[2J" in text


def test_what_was_measured_live_is_a_line_for_each_latency(opened):
    file, model = opened
    scores = {
        "event_f1_macro": 0.5,
        "event_f1_micro": 0.25,
        "false_announcements_per_hour": 12.3,
        "event_f1_per_label": {"Cat": 0.75},
        "halves": [{"event_f1_macro": 0.5}] * 2,
    }
    continuous = {"1": scores, "10": {}, "20": "odd", "how": "crosswise"}
    info = replace(file.info, scores_at_export={"continuous": continuous})
    text = shown(info_page(replace(file, info=info), model))
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "event F1 50.0 % macro, 25.0 % micro; 12 false" in rows["after 1 s"]
    assert "crosswise" in rows["measured on"]
    assert rows["Cat"].split()[-2:] == ["75.0", "%"]
    assert "halves" not in text
    assert "odd" not in text


def test_everything_is_there_for_programs(opened, streamsed):
    file, model = opened
    reported = json.loads(json.dumps(info_dict(file, model)))
    described = {name: reported[name] for name in file.info.to_dict()}
    assert ModelInfo.from_dict(described) == file.info
    assert reported["engine"]["name"] == "torchscript"
    assert reported["engine"]["device"] == "cpu"
    run = streamsed("info", file.path, "--json", "--engine", "torchscript")
    assert json.loads(run.stdout) == reported


def test_the_page_says_what_each_sensitivity_costs(opened):
    file, model = opened
    point = OperatingPoint("low", 10.0, PostConfig(0.9), {"Cat": 0.5, "Dog [bark]": 1})
    info = replace(
        file.info,
        operating_points=(point,),
        post=PostConfig(smoothing={"Cat": 2.0}, onset_search={"Cat": 1.5}),
    )
    text = shown(info_page(replace(file, info=info), model))
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert "false alarms per hour without events" in text
    assert rows["low"] == ["low", "10", "s", "1.5"]
    assert rows["normal"][-2:] == rows["high"][-2:] == ["not", "measured"]
    assert "median over" in text
    assert "2.0 s" in text
    assert "may begin up to 1.5 s earlier, where the scores of all rise" in text
    plain = shown(info_page(file, model))
    assert "median over" not in plain
    assert "earlier" not in plain
