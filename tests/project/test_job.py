"""The job for an accelerator: packing, building, going on after time is up, weights in parts."""

import csv
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scripts import archives, beginnings, build, job, job_plan, pack, parts
from train.config.network import NetworkConfig
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.fit.checkpoint import load_best, read_checkpoint, save_atomically
from train.networks.resnet import Network

ROOT = Path(__file__).parents[2]
SETTINGS = [ROOT / "scripts" / f"{name}.toml" for name in ("accelerator", "rehearsal")]
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
    assert pack.compress_bank(bank, tmp_path / "thinned", every=2) == 2  # a and b
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


@pytest.mark.slow
def test_an_extension_that_crashes_is_noticed_with_its_exit_code(tmp_path):
    extension = tmp_path / "_core.py"
    extension.write_text("")
    build.check_extension(extension)
    extension.write_text("import os\nos.abort()\n")
    with pytest.raises(ImportError, match="exit code -6"):
        build.check_extension(extension)


@pytest.mark.slow
def test_an_extension_that_was_carried_is_taken_where_none_can_be_made(
    tmp_path, monkeypatch, capsys
):
    def fail(extension, includes):
        extension.write_text("import os\nos.abort()\n")  # one that crashes

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "PREBUILT", tmp_path / "prebuilt")
    monkeypatch.setattr(build, "build_extension", fail)
    monkeypatch.setattr(build, "header_folders", list)
    monkeypatch.setattr(build.sysconfig, "get_config_var", lambda _: ".py")
    for folder in ("streamsed", "prebuilt"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ImportError, match="exit code -6"):
        build.make_extension()
    (tmp_path / "prebuilt" / "_core.py").write_text("# whole\n")
    extension = build.make_extension()
    assert extension == tmp_path / "streamsed" / "_core.py"
    assert extension.read_text() == "# whole\n"
    assert "taking" in capsys.readouterr().err


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


def read(name):
    return tomllib.loads((ROOT / "scripts" / f"{name}.toml").read_text())


REAL = read("accelerator")
EVERY = (*REAL["stages"], "data", "table1")


def plan_of(settings, out, seconds=500.0):
    """All that a job runs: names of processes to arguments."""
    plan = {}
    for stage in EVERY:
        plan |= job.commands(settings, stage, out, seconds)
    return plan


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_the_settings_of_every_stage_are_settings(path, tmp_path):
    settings = tomllib.loads(path.read_text())
    assert plan_of(settings, tmp_path)
    assert settings["stages"][0] == job.FIRST
    assert set(settings["budget"]) == set(settings["stages"])
    assert 0 < len(set(settings["runs"])) == len(settings["runs"])
    assert set(settings["runs"]) <= set(settings["fit"])
    table = settings["table1"]
    load_preset("nec_alpha_0.1", table["set"])
    load_preset("baseline_crnn", table["set_baseline"])
    for fit in settings["fit"].values():
        load_preset(fit["preset"], fit["set"])


def test_a_quarter_of_an_hour_is_enough_for_the_stages_starting_and_carrying():
    budget = REAL["budget"]
    assert sum(budget.values()) <= 15 * 60 - 180
    assert budget["build"] + budget["fit"] + budget["weights"] <= REAL["limit"] + 10
    assert REAL["limit"] + job.GRACE + budget["weights"] < 600
    alone = [[name] for name in REAL["fit"] if name not in REAL["runs"]]
    for together in [REAL["runs"], *alone]:
        workers = sum(REAL["fit"][name]["workers"] for name in together)
        assert workers + len(together) <= 18  # 16 cores; a loop waits for its device


def test_the_rehearsal_trains_the_networks_of_the_real_run():
    rehearsal = read("rehearsal")
    for key in ("banks", "stages"):
        assert rehearsal[key] == REAL[key]
    assert set(rehearsal["runs"]) >= set(REAL["runs"])
    assert rehearsal["fit"].keys() == REAL["fit"].keys()
    for name, real in REAL["fit"].items():
        fit = rehearsal["fit"][name]
        assert [fit[key] for key in ("preset", "lists", "init")] == [
            real[key] for key in ("preset", "lists", "init")
        ]
        expected = [each for each in real.get("options", []) if each != "--compile"]
        assert fit.get("options", []) == expected
        theirs, ours = (
            load_preset(each["preset"], each["set"]) for each in (real, fit)
        )
        sizes = {"batch_size": ours.batch_size, "steps": ours.steps}
        assert replace(theirs, **sizes) == ours


def test_the_table_does_not_pass_mixed_clips_off_as_desed(tmp_path):
    plan = plan_of(REAL, tmp_path)
    assert str(tmp_path / "table1" / "data") in plan["data"]
    assert f"--run={tmp_path / 'table1'}" in plan["table1"]
    assert {"--soundbank=bank", "--lists=lists"} <= set(plan["table1"])
    assert not any(each.startswith("--data") for each in plan["table1"])


def test_a_run_that_has_begun_continues_for_as_long_as_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(job_plan, "ROOT", tmp_path)
    settings = REAL | {
        "begin": 60,
        "runs": ["full"],
        "fit": {
            "full": {
                "preset": "default",
                "lists": [],
                "init": "before",
                "workers": 3,
                "set": [],
            }
        },
    }
    alone = job.commands(settings, "fit", tmp_path, 300.0)["fit-full"]
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "last.pt").touch()
    fresh = job.commands(settings, "fit", tmp_path, 300.0)["fit-full"]
    assert alone == fresh[:-1]  # the run to begin with was not carried
    assert "--resume" not in fresh
    assert {"--init=before", "--set=minutes=4.00", "--workers=3"} <= set(fresh)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "last.pt").touch()
    (tmp_path / "full" / "log.csv").write_text("step,minutes\n50,1.5\n100,2.5\n")
    begun = job.commands(settings, "fit", tmp_path, 300.0)["fit-full"]
    assert {"--resume", "--set=minutes=6.50"} <= set(begun)
    assert "--init=before" not in begun
    settings["fit"]["full"]["set"] = ["steps=2"]
    counted = job.commands(settings, "fit", tmp_path, 300.0)["fit-full"]
    assert not any("minutes" in each for each in counted)


def test_weights_are_taken_of_the_runs_that_were_begun(tmp_path):
    settings = REAL | {"runs": ["first", "second"]}
    assert job.commands(settings, "weights", tmp_path, 10.0) == {}
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    assert job.commands(settings, "weights", tmp_path, 10.0) == {}  # they left nothing
    for name in ("second", "third"):
        (tmp_path / name / "last.pt").touch()
    assert job.commands(settings, "weights", tmp_path, 10.0)["weights"] == [
        *("scripts.parts", "split", str(tmp_path / "results"), str(tmp_path / "second"))
    ]


def test_fits_that_are_not_among_the_runs_are_not_trained(tmp_path):
    fits = dict.fromkeys(("first", "second", "third"), REAL["fit"]["default"])
    settings = REAL | {"fit": fits, "runs": ["third", "first"]}
    commands = job.commands(settings, "fit", tmp_path, 300.0)
    assert list(commands) == ["fit-third", "fit-first"]
    settings["runs"] = ["first", "fourth"]
    with pytest.raises(
        ValueError, match="runs=fourth must be among the fits: first, second, third"
    ):
        job.commands(settings, "fit", tmp_path, 300.0)


@pytest.fixture
def plan(monkeypatch):
    """Replace what the stages run; returns the dict."""
    plan = {}
    monkeypatch.setattr(job, "commands", lambda _, stage, *__: plan[stage])
    return plan


def settings_of(plan, limit=60, **budget):
    return {"limit": limit, "stages": list(plan), "budget": budget}


SLEEPER = ["http.server", "0", "--bind", "127.0.0.1"]
"""A command that does not end by itself."""


def test_what_is_done_is_not_done_again_and_what_failed_is(plan, tmp_path, capsys):
    plan |= {each: {each: ["platform"]} for each in ("version", "later")}
    plan["missing"] = {"missing": ["no_such_module"]}
    settings = settings_of(plan) | {"stages": ["version", "missing", "later"]}
    for _ in range(2):
        assert job.do_job(settings, tmp_path) == 1
    done = sorted(path.name for path in (tmp_path / "done").iterdir())
    assert done == ["later", "version"]
    printed = capsys.readouterr().out
    assert printed.count("version: exit code 0") == 1
    assert printed.count("later: exit code 0") == 1
    assert printed.count("missing: exit code 1") == 2
    assert "no_such_module" in (tmp_path / "missing.log").read_text()


def test_nothing_runs_after_a_build_that_failed(plan, tmp_path, capsys):
    plan |= {"build": {"build": ["no_such_module"]}, "never": {"never": ["platform"]}}
    assert job.do_job(settings_of(plan), tmp_path) == 1
    assert "never:" not in capsys.readouterr().out


def test_runs_are_side_by_side_and_one_that_fails_leaves_the_others(
    plan, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    meet = tmp_path / "meeting.py"  # ends only once the other one runs
    meet.write_text(
        "import sys, time, pathlib\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / sys.argv[1]).touch()\n"
        "while not (here / sys.argv[2]).exists(): time.sleep(0.05)\n"
    )
    plan["fit"] = {
        "fit-a": ["meeting", "a", "b"],
        "fit-b": ["meeting", "b", "a"],
        "fit-c": ["no_such_module"],
    }
    assert job.do_job(settings_of(plan), tmp_path) == 1
    done = sorted(path.name for path in (tmp_path / "done").iterdir())
    assert done == ["fit-a", "fit-b"]
    plan["fit"]["fit-c"] = ["platform"]
    assert job.do_job(settings_of(plan), tmp_path) == 0
    log = (tmp_path / "job.log").read_text()
    assert log.count("fit-a: exit code") == 1


def test_what_begins_with_random_weights_is_said_in_the_notes(plan, tmp_path, capsys):
    plan["fit"] = {
        "fit-new": ["platform"],
        "fit-further": ["platform", "--init=runs/further"],
        "fit-again": ["platform", "--resume"],
    }
    plan["tests"] = {"tests": ["platform"]}
    job.do_job(settings_of(plan), tmp_path)
    with tarfile.open(tmp_path / "results" / "notes.tar.gz") as archive:
        notes = archive.extractfile("job.log").read().decode()
    for text in (notes, capsys.readouterr().out):
        said = [line for line in text.splitlines() if "random weights" in line]
        assert said == ["fit-new: begins with random weights"]


def test_weights_are_taken_home_though_time_was_up(plan, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(job, "GRACE", 0.5)
    monkeypatch.setattr(job, "LEAST", 0.1)
    plan |= {"fit": {"fit-a": SLEEPER}, "weights": {"weights": ["platform"]}}
    for _ in range(2):  # by every command, as there is more to take home
        assert job.do_job(settings_of(plan, 31.0, weights=30.0), tmp_path) == job.AGAIN
    printed = capsys.readouterr().out
    assert printed.count("weights: exit code 0") == 2
    assert "run the same command to continue" in printed
    assert not list((tmp_path / "done").iterdir())


def test_a_stage_takes_no_more_than_its_own_seconds(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "GRACE", 0.5)
    monkeypatch.setattr(job, "LEAST", 0.1)
    plan |= {"speed": {"speed": SLEEPER}, "next": {"next": ["platform"]}}
    settings = settings_of(plan, speed=1.0)
    assert job.do_job(settings, tmp_path) == job.AGAIN
    done = sorted(path.name for path in (tmp_path / "done").iterdir())
    assert done == ["next", "speed"]  # which cannot continue, and is not begun again
    assert job.do_job(settings, tmp_path) == 0


def test_a_stage_that_cannot_continue_is_begun_again_if_it_had_little_time(
    plan, tmp_path, monkeypatch
):
    monkeypatch.setattr(job, "GRACE", 0.5)
    monkeypatch.setattr(job, "LEAST", 0.1)
    plan["speed"] = {"speed": SLEEPER}
    assert job.do_job(settings_of(plan, 1.0, speed=30.0), tmp_path) == job.AGAIN
    assert not list((tmp_path / "done").iterdir())


def test_a_setting_that_is_missing_is_named(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('stages = ["build"]\n[budget]\n')
    command = [sys.executable, "-m", "scripts.job", settings, "--out", tmp_path / "out"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == f"job: error: {settings} must set 'limit'\n"


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
    plan |= {"first": {"first": ["no_such_module"]}, "second": {"second": ["platform"]}}
    for _ in range(2):
        assert job.do_job(settings_of(plan), tmp_path, only="second") == 0
    assert capsys.readouterr().out.count("second: exit code 0") == 2


def test_a_stage_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match="stage=third must be one of fit, build, "):
        job.do_job(REAL, tmp_path, only="third")


def test_archives_hold_everything_and_none_is_larger_than_its_limit(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "bank").mkdir()
    for number in range(8):
        (tmp_path / "bank" / f"{number}.ogg").write_bytes(rng.bytes(9000))
    with archives.Archives(tmp_path / "a.tar.gz", 24_000) as packed:
        packed.add_tree(tmp_path / "bank", "streamsed/bank")
    assert [path.name for path in packed.paths] == [
        *("a.tar.gz", "a.2.tar.gz", "a.3.tar.gz", "a.4.tar.gz")
    ]
    for path in packed.paths:
        assert path.stat().st_size <= 24_000
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path / "there", filter="data")
    for path in (tmp_path / "bank").iterdir():
        there = tmp_path / "there" / "streamsed" / "bank" / path.name
        assert there.read_bytes() == path.read_bytes()


def test_a_file_that_no_archive_can_hold_is_named_and_leaves_none(tmp_path):
    (tmp_path / "large").write_bytes(bytes(20_000))
    with (
        pytest.raises(ValueError, match=r"x: 0.0 MB do not fit .* set --limit higher"),
        archives.Archives(tmp_path / "a.tar.gz", 10_000) as packed,
    ):
        packed.add_tree(tmp_path / "large", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


@pytest.fixture
def begun(tmp_path):
    """A run to begin with, of another network than the presets'."""
    folder = tmp_path / "begun"
    folder.mkdir()
    state = {
        "config": CONFIG.to_dict(),
        "labels": ["Dog"],
        "step": 1,
        "evaluated": {"weight": torch.ones(2, 2)},
        "optimizer": {"not": "carried"},
    }
    save_atomically(state, folder / "last.pt")
    return folder


def test_a_run_to_begin_with_is_carried_if_it_is_of_the_network_that_is_trained(
    begun, tmp_path
):
    own = ["network.width=8", "network.stem_pools=1"]
    own += ["network.strides=[[1, 1], [1, 1], [2, 2], [2, 2]]"]
    settings = {"fit": {"full": {"preset": "small", "init": "runs/full", "set": own}}}
    beginnings.slim_runs(
        settings, {}, tmp_path / "none"
    )  # all begin with random weights
    assert not (tmp_path / "none").exists()
    beginnings.slim_runs(settings, {"full": begun}, tmp_path / "runs")
    carried = read_checkpoint(tmp_path / "runs" / "full" / "last.pt")
    assert carried["evaluated"]["weight"].dtype == torch.float16
    assert "optimizer" not in carried
    settings["fit"]["full"]["set"] = own[1:]
    with pytest.raises(ValueError, match=r"--run full=.*: its network is not that of"):
        beginnings.slim_runs(settings, {"full": begun}, tmp_path / "others")
    with pytest.raises(ValueError, match="the fits of the job begin with runs named"):
        beginnings.slim_runs(settings, {"fool": begun}, tmp_path / "none")
    with pytest.raises(ValueError, match="must be NAME=DIR"):
        beginnings.read_runs(["full"])
