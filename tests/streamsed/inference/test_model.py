import json
import pickle
import struct
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sounds import scene

from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.inference.model import Model
from streamsed.inference.model_file import (
    ModelFile,
    ModelInfo,
    find_model,
    shipped,
    shipped_models,
)
from streamsed.pipeline.frontend import Frontend, normalize


@pytest.fixture(scope="module")
def features():
    frontend = Frontend()
    return normalize(np.concatenate([frontend.push(scene(10)), frontend.flush()]))


def test_a_description_survives_the_model_file(make_model, tmp_path):
    stream, post = StreamConfig(0.5, 1.0), PostConfig({"Dog": 0.25})
    path = make_model(
        tmp_path / "m.pt", labels=("Cat", "Dog"), stream=stream, post=post
    )
    info = ModelFile.open(path).info
    assert info.name == "tiny"
    assert info.labels == ("Cat", "Dog")
    assert (info.stream, info.post) == (stream, post)
    assert info.scores_at_export == {"event F1 (%)": 12.5}
    assert ModelInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def test_a_description_is_read_without_torch(model_path):
    code = (
        "import sys; from pathlib import Path; from streamsed.inference.model_file import ModelFile\n"
        f"print(ModelFile.open(Path({str(model_path)!r})).info.name, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "tiny False\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format_version": 2}, "format_version=2 must be 1"),
        ({"frontend": {"hop": 1}}, "'hop' is not a setting of FrontendConfig"),
        ({"stream": {"step": -1.0}}, "step=-1.0 must be positive"),
        ({"labels": None}, "its labels must be a list"),
        ({"labels": []}, "labels"),
        ({"labels": ["Dog", "Dog"]}, "labels"),
        ({"post": {"onset_threshold": {"Cow": 0.5}}}, "unknown label 'Cow'"),
    ],
)
def test_a_wrong_description_is_refused_with_its_reason(
    make_model, tmp_path, changes, reason
):
    path = make_model(tmp_path / "m.pt", changes=changes)
    with pytest.raises(ValueError, match=r"m\.pt: not a model file of") as error:
        ModelFile.open(path)
    assert reason in str(error.value)


def test_a_missing_entry_is_refused(model, tmp_path):
    path = tmp_path / "m.pt"
    info = model.info.to_dict()
    del info["labels"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/extra/streamsed.json", json.dumps(info))
    with pytest.raises(ValueError, match=r"not a model file of.*labels"):
        ModelFile.open(path)


def damaged(kind, older_model_path, path):
    """Write something that is not a whole model file."""
    whole = older_model_path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a model\n")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    elif kind == "plain zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "not a model")
    elif kind == "zip with a description":
        with zipfile.ZipFile(path, "w") as archive:
            text = json.dumps(ModelFile.open(older_model_path).info.to_dict())
            archive.writestr("m/extra/streamsed.json", text)
    else:
        with zipfile.ZipFile(older_model_path) as archive:
            entry = next(i for i in archive.infolist() if i.filename.endswith(kind))
        at = entry.header_offset
        at += 30 + sum(struct.unpack("<HH", whole[at + 26 : at + 30]))  # local header
        at += entry.compress_size // 2
        flipped = bytes(255 - byte for byte in whole[at : at + 4])
        path.write_bytes(whole[:at] + flipped + whole[at + 4 :])
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "empty",
        "text",
        "pickle",
        "plain zip",
        "zip with a description",
        "streamsed.json",
        "data.pkl",
        "constants/0",
        ".py",
    ],
)
def test_a_damaged_model_is_refused_by_name(kind, older_model_path, tmp_path):
    path = damaged(kind, older_model_path, tmp_path / "bad.pt")
    with pytest.raises(
        ValueError, match=r"bad\.pt: (not a|an older kind of|damaged) model file"
    ):
        Model.load(path, device="cpu")


def test_a_torchscript_file_without_a_description_is_refused(make_model, tmp_path):
    path = make_model(tmp_path / "m.pt", extra="other.json")
    with pytest.raises(ValueError, match=r"it holds no streamsed\.json"):
        Model.load(path, device="cpu")


@pytest.mark.parametrize("labels", [("Dog",), ("Cat", "Dog", "Speech", "Frying")])
def test_labels_that_do_not_match_the_network_are_caught(make_model, tmp_path, labels):
    path = make_model(tmp_path / "m.pt", labels=labels)
    message = rf"gave scores of shape .* instead of \(128, {len(labels)}\)"
    with pytest.raises(ValueError, match=message):
        Model.load(path, device="cpu").score(np.zeros((1024, 128), np.float32))


def test_a_network_for_other_features_is_caught(make_model, tmp_path):
    frontend = {**FrontendConfig().to_dict(), "n_mels": 127}
    path = make_model(tmp_path / "m.pt", changes={"frontend": frontend})
    message = r"the model tiny failed on a segment .*export it again"
    with pytest.raises(ValueError, match=message):
        Model.load(path, device="cpu").score(np.zeros((1024, 127), np.float32))


def test_an_unknown_name_is_refused_with_the_shipped_names(tmp_path):
    with pytest.raises(FileNotFoundError, match="nosuch: neither a shipped model"):
        find_model("nosuch")
    with pytest.raises(FileNotFoundError, match="neither a shipped model"):
        find_model(tmp_path)


def test_the_model_of_full_width_is_found_once_it_is_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    (tmp_path / "default.pt").touch()
    with pytest.raises(
        FileNotFoundError, match=r"full: not among .* export it to .*full.pt"
    ):
        shipped.find_model("full")
    (tmp_path / "full.pt").touch()
    assert shipped.find_model("full") == tmp_path / "full.pt"


def test_a_model_is_found_by_its_path(model_path):
    assert find_model(str(model_path)) == model_path


def test_shipped_models_are_found_by_name():
    for name in shipped_models():
        assert find_model(name).stem == name


def test_an_unknown_device_is_refused(model_path):
    with pytest.raises(ValueError, match="device='tpu' must be auto, cpu or cuda"):
        Model.load(model_path, device="tpu")


def test_a_device_that_does_not_exist_is_refused(model_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match=r"^device=cuda: torch finds no CUDA device"):
        Model.load(model_path, device="cuda")
    assert Model.load(model_path, device="auto").place.startswith("cpu")


@pytest.mark.gpu
def test_scores_on_cuda_are_those_of_the_cpu(model_path, model, features):
    on_gpu = Model.load(model_path, device="cuda").score(features)
    np.testing.assert_allclose(on_gpu.scores, model.score(features).scores, atol=1e-3)


def test_scores_have_a_row_per_score_frame_and_a_column_per_label(model, features):
    scores, region = model.score(features)
    assert scores.shape == (128, 2)
    assert region.shape == (128,)
    assert scores.dtype == region.dtype == np.float32
    assert 0 <= scores.min() < 0.5 < scores.max() <= 1


def test_every_call_gives_the_same_bits(model_path, features):
    model = Model.load(model_path, device="cpu")
    first = model.score(features)
    for _ in range(5):
        assert_array_equal(model.score(features).scores, first.scores)


def test_threads_share_a_model(model, features):
    expected = [model.score(x).scores for x in (features, features[::-1].copy())]
    results = {}

    def work(number):
        x = features if number % 2 == 0 else features[::-1].copy()
        results[number] = [model.score(x).scores for _ in range(5)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        for scores in results[number]:
            assert_array_equal(scores, expected[number % 2])


def test_ten_labels_travel_with_the_file(make_model, tmp_path):
    labels = (*"abcdefgh", "two words", "ü")
    path = make_model(tmp_path / "m.pt", labels=labels)
    assert ModelFile.open(path).info.labels == labels
    assert replace(ModelFile.open(path).info, name="x").labels == labels


def test_a_file_of_an_older_kind_has_the_scores_of_one_with_a_graph(
    model, older_model_path, features
):
    older = Model.load(older_model_path, device="cpu").score(features)
    for found, expected in zip(model.score(features), older, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
