"""The light install: one engine, no torch, and how to add what an option needs."""

import json
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
import soundfile
from environment import without
from packaging.requirements import Requirement
from sounds import RATE, scene

from streamsed import installation
from streamsed.installation import install_command

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

MACHINES = [
    ("linux", "x86_64", "openvino"),
    ("linux", "aarch64", "openvino"),
    ("darwin", "arm64", "openvino"),
    ("darwin", "x86_64", "openvino"),
    ("win32", "AMD64", "openvino"),
    ("win32", "ARM64", "onnxruntime"),
    ("linux", "ppc64le", "onnxruntime"),
]
"""Where OpenVINO has wheels, and where it has none."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "scene.wav"
    soundfile.write(path, scene(12, seed=3), RATE, subtype="FLOAT")
    return path


def engine_of(run):
    """Return what `streamsed info --json` says was chosen."""
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["engine"]["name"]


@pytest.mark.parametrize(("system", "machine", "engine"), MACHINES)
def test_every_machine_gets_exactly_one_engine(system, machine, engine):
    environment = {"sys_platform": system, "platform_machine": machine}
    installed = [
        requirement.name
        for requirement in map(Requirement, PROJECT["dependencies"])
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]
    engines = [n for n in installed if n in ("openvino", "onnxruntime", "torch")]
    assert engines == [engine]


def locked(name):
    """The requirements that a list pins, without their hashes."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pinned = [line for line in lines if line[:1].isalnum()]
    return [Requirement(line.rstrip(" \\")) for line in pinned]


@pytest.mark.parametrize("name", ["build", "runtime"])
def test_what_is_installed_by_hash_is_what_was_tested_and_suits_the_project(name):
    """`make lock` mends it."""
    build = (ROOT / "requirements" / "build.in").read_text().splitlines()
    needed = {
        "build": [line for line in build if not line.startswith("#")],
        "runtime": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["plot"],
    }[name]
    pinned = {each.name: each for each in locked(name) if is_for_this_machine(each)}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for tested in map(Requirement, [line for line in lines if line[0] != "#"]):
        if tested.name in pinned and is_for_this_machine(tested):
            assert pinned[tested.name].specifier == tested.specifier
    for requirement in map(Requirement, needed):
        if is_for_this_machine(requirement):
            (version,) = pinned[requirement.name].specifier
            assert version.operator == "=="
            assert requirement.specifier.contains(version.version)


def is_for_this_machine(requirement):
    return requirement.marker is None or requirement.marker.evaluate()


def test_the_page_lists_every_extra_but_those_for_work_on_the_project():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, flags=re.MULTILINE)
    listed = re.findall(r"\w+", " ".join(first_cells))
    extras = PROJECT["optional-dependencies"].keys() - {"dev", "bench", "fuzz"}
    assert sorted(listed) == sorted(extras)


def test_torch_comes_with_two_extras_only():
    with_torch = {
        extra
        for extra, lines in PROJECT["optional-dependencies"].items()
        for requirement in map(Requirement, lines)
        if requirement.name == "torch" or "torch" in requirement.extras
    }
    assert with_torch == {"torch", "train"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "engine"),
    [(["torch"], "openvino"), (["torch", "openvino"], "onnx")],
)
def test_every_command_runs_on_the_engine_that_is_there(
    streamsed, exported, recording, hidden, engine
):
    def run(*arguments):
        return streamsed(*arguments, env=without(*hidden))

    assert engine_of(run("info", exported, "--json")) == engine
    found = run("file", recording, "--model", exported)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("filename\t")
    sources = ["--file", recording, "--duration", 2]
    listened = run("listen", *sources, "--model", exported)
    assert listened.returncode == 0, listened.stderr
    states = [json.loads(line)["state"] for line in listened.stdout.splitlines()]
    assert (states[0], states[-1]) == ("started", "stopped")
    measured = run("bench", exported, "--rounds", 1, "--threads", 1)
    assert measured.returncode == 0, measured.stderr
    engines = {line.split()[0] for line in measured.stdout.splitlines()[1:]}
    assert engine in engines
    assert engines.isdisjoint({"torchscript", *hidden})
    examined = run("doctor", "--model", exported).stdout
    (model,) = [line for line in examined.splitlines() if "  model: " in line]
    assert model.startswith("ok")
    assert f"({engine} " in model


@pytest.mark.slow
def test_the_same_events_come_without_torch(streamsed, exported, recording):
    command = ["file", recording, "--model", exported, "--engine", "openvino"]
    command += ["--precision", "fp32", "--format", "jsonl"]
    bare = streamsed(*command, env=without("torch"))
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout == streamsed(*command).stdout


@pytest.mark.slow
@pytest.mark.parametrize("option", [["--engine", "torchscript"], ["--device", "cuda"]])
def test_an_engine_that_needs_torch_names_the_extra(
    streamsed, exported, recording, option
):
    command = ["file", recording, "--model", exported, *option]
    run = streamsed(*command, env=without("torch"))
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert f"PyTorch is not installed: {install_command('torch')}" in run.stderr


def test_training_without_torch_names_the_extra(streamsed):
    run = subprocess.run(
        [sys.executable, "-m", "train", "fit", "--run", "x"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=without("torch"),
    )
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f"train: error: training needs torch; {install_command('train')}"
    ]


@pytest.mark.slow
def test_a_driver_for_cuda_does_not_ask_for_torch(exported, monkeypatch):
    from streamsed.inference import selection
    from streamsed.inference.model import Model

    installed = selection.find_spec
    monkeypatch.setattr(selection, "may_have_cuda", lambda: True)
    monkeypatch.setattr(
        selection,
        "find_spec",
        lambda name: None if name == "torch" else installed(name),
    )
    assert Model.load(exported).chosen.engine in ("openvino", "onnx")


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_torch_does_not_warn_of_torchscript(older_model_path, monkeypatch, category):
    import torch

    from streamsed.inference.model import Model

    for name in ("load", "freeze"):
        real = getattr(torch.jit, name)

        def deprecated(*arguments, name=name, real=real, **options):
            warnings.warn(f"`torch.jit.{name}` is deprecated", category, stacklevel=2)
            return real(*arguments, **options)

        monkeypatch.setattr(torch.jit, name, deprecated)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Model.load(older_model_path, device="cpu", engine="torchscript")
    assert model.chosen.engine == "torchscript"


ORIGINS = [
    ({"url": "file:///a%20b/clone", "dir_info": {}}, "'/a b/clone[torch]'"),
    ({"url": "file:///c", "dir_info": {"editable": True}}, "-e '/c[torch]'"),
    ({"url": "file:///x/s.whl", "archive_info": {}}, "'/x/s.whl[torch]'"),
    (
        {"url": "https://e.org/s.whl", "archive_info": {}},
        "'streamsed[torch] @ https://e.org/s.whl'",
    ),
    (
        {"url": "https://e.org/r.git", "vcs_info": {"vcs": "git", "commit_id": "f00"}},
        "'streamsed[torch] @ git+https://e.org/r.git@f00'",
    ),
    ({}, "'streamsed[torch]'"),
]


@pytest.mark.parametrize(("origin", "target"), ORIGINS)
def test_the_command_for_an_extra_suits_where_the_copy_came_from(
    monkeypatch, origin, target
):
    monkeypatch.setattr(installation, "_origin", lambda: origin)
    assert install_command("torch") == f"pip install {target}"


def test_in_its_own_clone_the_command_is_short(monkeypatch, tmp_path):
    origin = {"url": tmp_path.as_uri(), "dir_info": {}}
    monkeypatch.setattr(installation, "_origin", lambda: origin)
    monkeypatch.chdir(tmp_path)
    assert install_command("torch") == "pip install '.[torch]'"
