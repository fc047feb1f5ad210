"""Model files from strangers: data that is checked, and never a program that is run."""

import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pytest
from archives import members, rewritten
from onnx import helper, numpy_helper

from streamsed.inference.model import Model
from streamsed.inference.model_file import ModelFile, find_model
from streamsed.inference.trust import SHIPPED, SHIPPED_SUMS, exported_sums

DEFAULT = find_model("default")
NO_CURVES = {"recall_curves": []}  # which name the labels as well


@pytest.fixture(scope="module")
def content():
    return members(DEFAULT)


def described(content, **changes):
    info = json.loads(content["extra/streamsed.json"])
    return {"extra/streamsed.json": json.dumps({**info, **changes}).encode()}


def graph_of(content):
    return onnx.load_from_string(content["extra/fp32.onnx"])


def changed_graph(content, change):
    model = graph_of(content)
    change(model)
    return {"extra/fp32.onnx": model.SerializeToString()}


def refusal(path, **settings):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        Model.load(path, device="cpu", **settings)
    return str(error.value)


# The program inside is not run.


@pytest.fixture(scope="module")
def evil_program(tmp_path_factory):
    """A TorchScript archive that writes a file when it is loaded, and when it is run."""
    import torch

    folder = tmp_path_factory.mktemp("evil")
    source = folder / "evil_module.py"
    source.write_text(
        "import torch\n"
        "class Evil(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = torch.zeros(1)\n"
        "    @torch.jit.export\n"
        "    def __getstate__(self):\n"
        "        return self.w, self.training\n"
        "    @torch.jit.export\n"
        "    def __setstate__(self, state: tuple[torch.Tensor, bool]):\n"
        f"        torch.save(state[0], {str(folder / 'loaded')!r})\n"
        "        self.w = state[0]\n"
        "        self.training = state[1]\n"
        "    def forward(self, x):\n"
        f"        torch.save(x, {str(folder / 'run')!r})\n"
        "        return torch.zeros(1, 128, 10), torch.zeros(1, 128)\n"
    )
    sys.path.insert(0, str(folder))
    from evil_module import Evil

    path = folder / "evil.pt"
    about = json.loads(ModelFile.open(DEFAULT).archive.read("extra/streamsed.json"))
    about.pop("seal")  # another file's: with it, this one would be refused for that
    torch.jit.save(
        torch.jit.script(Evil()),
        str(path),
        _extra_files={"streamsed.json": json.dumps(about)},
    )
    sys.path.remove(str(folder))
    return path


def written(evil_program):
    return {p.name for p in evil_program.parent.iterdir()} & {"loaded", "run"}


@pytest.mark.parametrize("command", ["info", "file", "bench", "listen"])
def test_a_program_is_refused_and_not_run(streamsed, evil_program, command, tmp_path):
    arguments = {
        "info": [evil_program],
        "file": ["examples/scene.flac", "--model", evil_program],
        "bench": [evil_program],
        "listen": ["--file", "examples/scene.flac", "--model", evil_program],
    }[command]
    run = streamsed(command, *arguments)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert "contains code that could do anything" in line
    assert written(evil_program) == set()


def test_a_program_with_graphs_beside_it_is_not_run(evil_program, content, tmp_path):
    extra = {n: data for n, data in content.items() if n.startswith("extra/")}
    records = {
        f"extra/weights/{n.replace('/', '-')}": data
        for n, data in content.items()
        if n.startswith(("data/", "constants/"))
    }
    entries = json.loads(extra["extra/weights.json"])
    for entry in entries:
        entry["record"] = "extra/weights/" + entry["record"].replace("/", "-")
    extra["extra/weights.json"] = json.dumps(entries).encode()
    path = rewritten(evil_program, tmp_path / "both.pt", {**extra, **records})
    for engine in ("torchscript", "onnx", "openvino"):
        model = Model.load(path, device="cpu", engine=engine, precision="fp32")
        expected = Model.load("default", device="cpu", engine=engine, precision="fp32")
        features = np.random.default_rng(0).random((1024, 128), dtype=np.float32)
        np.testing.assert_array_equal(
            model.score(features).scores, expected.score(features).scores
        )
    assert written(evil_program) == set()


def test_only_who_is_trusted_may_bring_a_program(older_model_path, tmp_path):
    path = rewritten(older_model_path, tmp_path / "other.pt")
    assert "--trust-model" in refusal(path)
    assert Model.load(path, device="cpu", trust=True).info.name == "tiny"
    assert (
        Model.load(older_model_path, device="cpu").info.name == "tiny"
    )  # as exported here


def test_the_list_of_shipped_files_is_true():
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", SHIPPED_SUMS.name],
        cwd=SHIPPED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make checksums`: {done.stdout}{done.stderr}"
    listed = {line.split()[1] for line in SHIPPED_SUMS.read_text().splitlines()}
    assert listed == {path.name for path in SHIPPED.glob("*.pt")}
    assert ModelFile.open(DEFAULT).origin == "shipped"


def test_an_export_is_noted_as_the_users_own(exported):
    file = ModelFile.open(exported)
    assert file.origin == "exported"
    assert file.sha256 in exported_sums().read_text()


def test_another_file_than_the_pinned_one_is_refused(streamsed, exported):
    run = streamsed("info", exported, "--model-sha256", "0" * 64)
    assert run.returncode == 2
    assert "its SHA-256 is" in run.stderr
    sha256 = ModelFile.open(exported).sha256
    assert streamsed("info", exported, "--model-sha256", sha256).returncode == 0


@pytest.mark.parametrize("part", ["extra/streamsed.json", "data/0", "extra/fp32.onnx"])
def test_a_file_that_was_altered_since_its_export_is_refused(exported, tmp_path, part):
    whole = members(exported, sealed=True)
    same = rewritten(exported, tmp_path / "same.pt", sealed=True)
    assert ModelFile.open(same).info == ModelFile.open(exported).info
    altered = bytearray(whole[part])
    if part == "extra/streamsed.json":
        altered = altered.replace(b'"steps": 5', b'"steps": 6')
    else:
        altered[len(altered) // 2] ^= 1
    path = rewritten(exported, tmp_path / "m.pt", {part: bytes(altered)}, sealed=True)
    assert "it was altered after export" in refusal(path)


# What a file says of itself is bounded.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": [str(n) for n in range(300_000)]}, "1000000|at most 2000"),
        ({**NO_CURVES, "labels": ["Dog\x1b[2J", *"bcdefghij"]}, "is not printable"),
        ({**NO_CURVES, "labels": ["Dog\u202e", *"bcdefghij"]}, "is not printable"),
        ({"name": "x" * 1000}, "is longer than 200 characters"),
        ({"name": ["x"]}, "its name must be a string"),
        ({"parameters": True}, "its parameters must be a number"),
        ({"gmac": 10**400}, "is too large"),
        ({"engines": {"openvino int8": 3}}, "has no `accepted`"),
        ({"frontend": {"sample_rate": 10**12}}, "sample_rate"),
        ({"frontend": {"n_mels": 10**9}}, "n_mels"),
        ({"frontend": {"segment_frames": 8 * 10**9}}, "segment_frames"),
        ({"frontend": {"top_db": True}}, "top_db"),
        ({"post": {"onset_threshold": {"Dog": "high"}}}, "onset_threshold"),
        ({"post": {"min_gap": 1e300}}, "min_gap"),
        ({"stream": {"step": "5"}}, "step"),
    ],
)
def test_a_description_out_of_bounds_is_refused(content, tmp_path, changes, reason):
    for name, value in changes.items():
        if isinstance(value, dict) and name in ("frontend", "post", "stream"):
            whole = json.loads(content["extra/streamsed.json"])[name]
            changes = {**changes, name: {**whole, **value}}
    path = rewritten(DEFAULT, tmp_path / "m.pt", described(content, **changes))
    found = refusal(path)
    assert any(each in found for each in reason.split("|")), found
    assert len(found) < 1000


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format_version": NaN}',
        b'{"format_version": 1e999}',
        b'{"format_version": 1, "format_version": 1}',
        b"9" * 5000,
        b"\xff\xfe{}",
        b"[]",
        b'"' + b"x" * 2_000_000 + b'"',
    ],
)
def test_json_that_is_odd_is_refused(tmp_path, text):
    path = rewritten(DEFAULT, tmp_path / "m.pt", {"extra/streamsed.json": text})
    assert "not a model file of" in refusal(path)


# The graph is checked before an engine sees it.


def add_node(operator, inputs, outputs=("z",), **attributes):
    def change(model):
        node = helper.make_node(operator, inputs, outputs, **attributes)
        model.graph.node.append(node)

    return change


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def add_constant(model, name, values):
    model.graph.initializer.append(numpy_helper.from_array(values, name))


def bomb(model):
    """Grow a map until it would fill the memory."""
    add_constant(model, "much", np.array([1, 4096, 64, 128], np.int64))
    add_constant(model, "one", np.zeros((1, 1, 1, 1), np.float32))
    add_node("Expand", ["one", "much"], ["a"])(model)
    add_node("Add", ["a", "a"], ["b"])(model)


def slow(model):
    """Multiply large matrices again and again."""
    add_constant(model, "square", np.array([2048, 2048], np.int64))
    add_constant(model, "one", np.zeros((1, 1), np.float32))
    add_node("Expand", ["one", "square"], ["m0"])(model)
    for i in range(32):
        add_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"])(model)


def function(model):
    model.functions.add(name="f", domain="d")


def subgraph(model):
    inner = helper.make_graph([], "inner", [], [])
    add_node("If", ["features"], then_branch=inner, else_branch=inner)(model)


def dimension(model):
    model.graph.initializer[0].dims[:] = [1 << 40]


def other_domain(model):
    add_node("Conv", ["features", "features"])(model)
    model.graph.node[-1].domain = "evil.ops"


def wrong_bytes(model):
    model.graph.initializer[0].raw_data += b"\0\0"


def symbolic(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "T"


def square_axes(model):
    add_constant(model, "axes", np.array([[1]], np.int64))
    add_node("ReduceMin", ["features", "axes"])(model)


def no_outputs(model):
    del model.graph.output[:]


def circle(model):
    model.graph.node[0].input[0] = model.graph.output[0].name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (add_node("Loop", ["features"]), "is none of"),
        (add_node("DecodeString\x1b", ["features"]), "is none of"),
        (add_node("Conv", ["features", "nowhere"]), "stands before it"),
        (add_node("Relu", ["features"], ["features"]), "of a new name"),
        (add_node("Relu", ["features"], evil=1), "no attributes but"),
        (add_node("Relu", ["features"], ["x", "y"]), "of a new name"),
        (add_node("Transpose", ["features"], perm=[0] * 100), "too long"),
        (
            add_node("MaxPool", ["features"], kernel_shape=[2, 2], pads=[10**9] * 4),
            "out of bounds",
        ),
        (external, "must not have"),
        (bomb, "too much memory"),
        (slow, "GMAC"),
        (function, "must not have"),
        (subgraph, "must not have"),
        (dimension, "out of bounds"),
        (other_domain, "operators of ONNX alone"),
        (wrong_bytes, "as many bytes"),
        (symbolic, "must not have"),
        (square_axes, "must be a list"),  # a crash of OpenVINO
        (no_outputs, "must give scores"),
        (circle, "before it"),
    ],
)
@pytest.mark.parametrize("engine", ["openvino", "onnx", "torchscript"])
def test_a_graph_that_is_not_plain_is_refused(
    content, tmp_path, change, reason, engine
):
    path = rewritten(DEFAULT, tmp_path / "m.pt", changed_graph(content, change))
    found = refusal(path, engine=engine, precision="fp32")
    assert reason in found
    assert found.isprintable()


def weights(content, change):
    entries = json.loads(content["extra/weights.json"])
    change(entries)
    return {"extra/weights.json": json.dumps(entries).encode()}


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[0].update(record="extra/streamsed.json"),
        lambda entries: entries[0].update(record="../../../etc/passwd"),
        lambda entries: entries[0].update(record=7),
        lambda entries: entries[0].update(shape=[1 << 62, 1 << 62]),
        lambda entries: entries[0].update(shape=[True, -1]),
        lambda entries: entries.append(dict(entries[0])),
        lambda entries: entries.append("x"),
        lambda entries: entries.clear(),
    ],
)
def test_weights_that_are_not_there_are_refused(content, tmp_path, change):
    path = rewritten(DEFAULT, tmp_path / "m.pt", weights(content, change))
    assert "m.pt: its scores differ" in refusal(path)


def test_weights_that_are_not_finite_are_refused(content, tmp_path):
    record = json.loads(content["extra/weights.json"])[0]["record"]
    raw = bytearray(content[record])
    raw[:2] = struct.pack("<e", float("nan"))
    path = rewritten(DEFAULT, tmp_path / "m.pt", {record: bytes(raw)})
    assert "must be finite" in refusal(path)


def test_a_probe_that_is_a_bomb_is_refused(content, tmp_path):
    import io

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, "
        header += b"'shape': (1000000000000,), }".ljust(118 - 51) + b"\n"
        archive.writestr("features.npy", header)
        archive.writestr("scores.npy", header)
    changes = {"extra/probe.npz": packed.getvalue()}
    path = rewritten(DEFAULT, tmp_path / "m.pt", changes)
    assert "its probe's features" in refusal(path)
