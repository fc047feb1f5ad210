"""The job for an accelerator: packing, building, going on after time is up, weights in parts."""

import csv
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scripts import build, job, pack, parts
from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.fit.checkpoint import load_best, save_atomically
from train.networks.resnet import Network

ROOT = Path(__file__).parents[2]
SETTINGS = sorted((ROOT / "scripts").glob("*.toml"))
CONFIG = TrainConfig(network=NetworkConfig(width=8))


@pytest.fixture
def run(tmp_path):
    """A run with two validated checkpoints."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    for step in (1, 2):
        torch.manual_seed(step)
        state = {
            "config": CONFIG.to_dict(),
            "labels": ["Dog", "Cat"],
            "scaling": {"name": "triple", "top_db": 80.0},
            "step": step,
            "elapsed": 1.0,
            "loss": 1.0 / step,
            "f1_per_label": {"Dog": 0.5, "Cat": 0.25},
            "evaluated": Network(2, CONFIG.network).state_dict(),
            "optimizer": {"not": "taken home"},
        }
        save_atomically(state, folder / f"best-{step:07d}.pt")
    return folder


def test_joined_weights_are_those_that_were_split_within_half_precision(run, tmp_path):
    found = parts.split({"mine": run}, tmp_path / "parts", size=100_000)
    assert len(found) > 2
    assert all(path.stat().st_size <= 100_000 for path in found)
    parts.join(tmp_path / "parts", tmp_path / "joined")
    for before, after in zip(
        load_best(run), load_best(tmp_path / "joined" / "mine"), strict=True
    ):
        assert after.step == before.step
        assert after.f1_per_label == before.f1_per_label
        theirs = after.network.state_dict()
        for name, value in before.network.state_dict().items():
            torch.testing.assert_close(theirs[name], value, rtol=5e-4, atol=1e-7)


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_damaged_part_is_named_and_nothing_is_unpacked(run, tmp_path, damage, capsys):
    found = parts.split({"mine": run}, tmp_path / "parts", size=100_000)
    if damage == "missing":
        found[1].unlink()
    else:
        block = bytearray(found[1].read_bytes())
        block[50] ^= 1
        found[1].write_bytes(block)
    with pytest.raises(SystemExit) as ended:
        parts.main(["join", str(tmp_path / "parts"), str(tmp_path / "joined")])
    assert ended.value.code == 2
    assert str(found[1]) in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()


def test_weights_beyond_half_precision_are_refused():
    with pytest.raises(ValueError, match="big must be within float16's range"):
        parts.halve({"evaluated": {"big": torch.full((2, 2), 1e5)}})


def test_fewer_parts_replace_more(run, tmp_path):
    parts.split({"mine": run}, tmp_path / "parts", size=100_000)
    (one,) = parts.split({"mine": run}, tmp_path / "parts", size=10**9)
    assert sorted((tmp_path / "parts").glob("parts.0*")) == [one]
    assert parts.join(tmp_path / "parts", tmp_path / "joined")


def test_a_packed_bank_has_both_splits_in_their_length(tmp_path):
    bank = tmp_path / "bank"
    rng = np.random.default_rng(0)
    rows = [("foreground/Dog/a.wav", "train"), ("foreground/Dog/b.flac", "validation")]
    rows += [("background/rain/c.wav", "test"), ("foreground/Dog/d.wav", "train")]
    for path, _ in rows:
        (bank / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(bank / path, rng.uniform(-0.3, 0.3, (100_001, 2)), 44100)
    with (bank / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "split", "source_repo"))
        table.writerows((*row, f"of {row[0]}") for row in rows)
    left_out = ["foreground/Dog/d.wav"]
    assert pack.compress_bank(bank, tmp_path / "packed", left_out=left_out) == 2
    with (tmp_path / "packed" / "manifest.csv").open(newline="") as file:
        packed = [tuple(row.values()) for row in csv.DictReader(file)]
    assert packed == [(f"{path}.ogg", split, f"of {path}") for path, split in rows[:2]]
    for path, *_ in packed:
        info = soundfile.info(tmp_path / "packed" / path)
        assert (info.frames, info.samplerate, info.channels) == (100_001, 44100, 1)
        assert info.subtype == "VORBIS"


def test_only_what_is_missing_is_unpacked(tmp_path):
    for name in ("numpy", "surely_not_installed"):
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
    names = build.unpack_wheels(tmp_path, tmp_path / "site")
    assert names == ["surely_not_installed"]
    assert [path.name for path in (tmp_path / "site").iterdir()] == names


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF file")
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_an_extension_shares_the_cpp_library_even_where_the_compiler_links_its_own_in(
    tmp_path,
):
    source, target = tmp_path / "throws.cpp", tmp_path / "throws.so"
    source.write_text(
        "#include <string>\nint f() { throw std::string(99, 'x').size(); }"
    )
    command = ["g++", "-fPIC", str(source), "-o", str(target)]
    subprocess.run([*command, *build.LINK_FLAGS, "-static-libstdc++"], check=True)
    assert b"libstdc++.so.6" in target.read_bytes()


def test_an_extension_that_crashes_is_noticed_with_its_exit_code(tmp_path):
    extension = tmp_path / "_core.py"
    extension.write_text("")
    build.check_extension(extension)
    extension.write_text("import os\nos.abort()\n")
    with pytest.raises(ImportError, match="exit code -6"):
        build.check_extension(extension)


def test_the_direct_build_compiles_what_cmake_does():
    text = (ROOT / "CMakeLists.txt").read_text()
    commands = [
        " ".join(each) for each in build.compile_commands(Path("o"), []).values()
    ]
    compiled = {word for each in commands for word in each.split() if "csrc/" in word}
    assert compiled == {
        str(path.relative_to(ROOT))
        for path in (ROOT / "csrc").rglob("*.cpp")
        if str(path.relative_to(ROOT)) in text
    }
    assert " ".join(build.KERNEL_FLAGS) in text
    for target, flags in build.KERNELS.items():
        lanes = flags[0].removeprefix("-DSTREAMSED_LANES=")
        assert " ".join([target, lanes, *flags[1:]]) in text


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_the_settings_of_every_stage_are_settings(path, tmp_path):
    settings = tomllib.loads(path.read_text())
    plan = job.stages(settings, tmp_path)
    assert next(iter(plan)) == "build"
    assert list(plan)[-1] == "weights"
    table = settings["table1"]
    load_preset("nec_alpha_0.1", table["set"])
    load_preset("baseline_crnn", table["set_baseline"])
    for fit in settings["fit"].values():
        load_preset(fit["preset"], fit["set"])


def test_the_table_does_not_pass_mixed_clips_off_as_desed(tmp_path):
    plan = job.stages(tomllib.loads(SETTINGS[0].read_text()), tmp_path)
    assert str(tmp_path / "table1" / "data") in plan["data"]
    assert f"--run={tmp_path / 'table1'}" in plan["table1"]
    assert {"--soundbank=bank", "--lists=lists"} <= set(plan["table1"])
    assert not any(each.startswith("--data") for each in plan["table1"])


def test_a_run_that_has_begun_continues(tmp_path):
    settings = tomllib.loads(SETTINGS[0].read_text())
    settings["fit"] = {
        "full": {"preset": "default", "lists": [], "set": [], "init": "before"}
    }
    fresh = job.stages(settings, tmp_path)["fit-full"]
    assert "--resume" not in fresh
    assert "--init=before" in fresh
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "last.pt").touch()
    begun = job.stages(settings, tmp_path)["fit-full"]
    assert "--resume" in begun
    assert "--init=before" not in begun


def test_weights_are_taken_of_the_runs_that_were_begun(tmp_path):
    settings = tomllib.loads(SETTINGS[0].read_text())
    (tmp_path / "full").mkdir()
    weights = job.stages(settings, tmp_path)["weights"]
    assert weights == [
        *("scripts.parts", "split", str(tmp_path / "results"), str(tmp_path / "full"))
    ]


@pytest.fixture
def plan(monkeypatch):
    """Replace the stages; returns their dict."""
    commands = {}
    monkeypatch.setattr(job, "stages", lambda *_: commands)
    return commands


def test_what_is_done_is_not_done_again_and_what_failed_is(plan, tmp_path, capsys):
    plan |= {"version": ["platform"], "missing": ["no_such_module"], "never": ["this"]}
    for _ in range(2):
        assert job.do_job({"limit": 60}, tmp_path) == 1
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["version"]
    printed = capsys.readouterr().out
    assert printed.count("version: exit code 0") == 1
    assert printed.count("missing: exit code 1") == 2
    assert "never:" not in printed
    assert "no_such_module" in (tmp_path / "missing.log").read_text()


def test_a_stage_is_interrupted_when_time_is_up(plan, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(job, "GRACE", 0.5)
    plan["long"] = ["http.server", "0", "--bind", "127.0.0.1"]
    assert job.do_job({"limit": 2.0}, tmp_path) == job.AGAIN
    assert "run the same command to continue" in capsys.readouterr().out
    assert not list((tmp_path / "done").iterdir())


def test_a_setting_that_is_missing_is_named(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('device = "cpu"\n')
    command = [sys.executable, "-m", "scripts.job", settings, "--out", tmp_path / "out"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == f"job: error: {settings} must set 'workers'\n"


def test_results_are_small_and_in_one_archive(tmp_path):
    (tmp_path / "table1" / "run").mkdir(parents=True)
    (tmp_path / "table1" / "run" / "log.csv").write_text("step\n")
    (tmp_path / "table1" / "table1.json").write_text(json.dumps({}))
    (tmp_path / "large.md").write_bytes(bytes(job.LARGEST + 1))
    (notes,) = job.take_home(tmp_path)
    with tarfile.open(notes) as archive:
        assert sorted(archive.getnames()) == [
            "table1/run/log.csv",
            "table1/table1.json",
        ]


def test_one_stage_is_done_alone_and_again(plan, tmp_path, capsys):
    plan |= {"first": ["no_such_module"], "second": ["platform"]}
    for _ in range(2):
        assert job.do_job({"limit": 60}, tmp_path, only="second") == 0
    assert capsys.readouterr().out.count("second: exit code 0") == 2
    with pytest.raises(ValueError, match="--only third must be one of first, second"):
        job.do_job({"limit": 60}, tmp_path, only="third")


def test_a_stage_that_cannot_continue_is_not_begun_again(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "GRACE", 0.5)
    plan |= {"speed": ["http.server", "0", "--bind", "127.0.0.1"], "next": ["platform"]}
    assert job.do_job({"limit": 2.0}, tmp_path) == job.AGAIN
    assert job.do_job({"limit": 60.0}, tmp_path) == 0
