"""What an import loads: torch and other heavy things come in only where they are used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from modules import modules_of

import streamsed

HEAVY = {"torch", "soundfile", "soxr", "sounddevice", "matplotlib", "rich", "typer"}
SOURCES = {"numpy", "soundfile", "soxr"}


def loaded_by(statement):
    """Return which packages of interest a fresh interpreter holds after `statement`."""
    code = f"import sys; {statement}; print(*{{n.split('.')[0] for n in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split()) & (HEAVY | {"numpy", "train"})


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import streamsed") == set()
    code = "import sys, streamsed; print(*[m for m in sys.modules if 'streamsed' in m])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    ours = [name for name in run.stdout.split() if not name.startswith("_")]
    assert ours == ["streamsed"]


@pytest.mark.parametrize(
    ("name", "loads"),
    [
        ("Event", set()),
        ("StreamConfig", {"numpy"}),
        ("Frontend", {"numpy"}),
        ("Detector", {"numpy"}),
        ("Model", {"numpy"}),
        ("file_chunks", {"numpy", *SOURCES}),
    ],
)
def test_a_public_name_loads_what_it_needs_and_no_engine(name, loads):
    assert loaded_by(f"from streamsed import {name}") <= loads


def test_the_public_names_are_those_of_their_modules():
    for name in streamsed.__all__:
        value = getattr(streamsed, name)
        assert value is getattr(sys.modules[value.__module__], name)
        assert name in dir(streamsed)
    with pytest.raises(AttributeError, match="has no attribute 'Listner'"):
        _ = streamsed.Listner
    with pytest.raises(ImportError, match="Listner"):
        from streamsed import Listner  # noqa: F401


def test_sources_without_the_core_say_how_to_install_them(tmp_path):
    copy = tmp_path / "streamsed"
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "models")
    shutil.copytree(Path(streamsed.__file__).parent, copy, ignore=ignored)
    places = os.pathsep.join(map(str, (tmp_path, Path(np.__file__).parents[1])))
    run = subprocess.run(  # without `site`, which would find the installed package
        [sys.executable, "-S", "-c", "from streamsed import Frontend"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    last = run.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {copy}: no compiled core here")
    assert "`pip install -e .`" in last


def test_settings_events_and_writers_need_numpy_at_most():
    modules = (
        "config",
        "events",
        "detector",
        "atomic_write",
        "recordings.formats",
        "pipeline.stitcher",
        "pipeline.tracker",
        "pipeline.frontend",
        "inference.model",
    )
    statement = "; ".join(f"import streamsed.{name}" for name in modules)
    assert loaded_by(statement) == {"numpy"}


def test_the_front_end_loads_no_torch():
    assert loaded_by("import streamsed.pipeline.frontend") == {"numpy"}


def test_audio_loads_its_readers_and_no_torch():
    assert loaded_by("import streamsed.audio.decode") == SOURCES


def test_the_command_line_loads_nothing_before_a_command_needs_it():
    assert loaded_by("import streamsed.cli.app") <= {"typer", "rich"}


def test_no_module_loads_torch_or_the_training_code_by_being_imported():
    names = [name for name in modules_of(streamsed) if ".torch_" not in name]
    assert len(names) >= 40
    statement = "; ".join(f"import {name}" for name in names)
    assert loaded_by(statement).isdisjoint({"torch", "matplotlib", "train"})


@pytest.mark.parametrize("statement", ["import streamsed", "import streamsed.cli.app"])
def test_imports_are_quick(statement):
    code = f"import time; start = time.process_time(); {statement}; "
    code += "print(time.process_time() - start)"
    command = [sys.executable, "-c", code]
    seconds = min(
        float(subprocess.check_output(command, text=True).split()[-1]) for _ in range(2)
    )
    assert seconds < 1.0  # of processor time; a fifth of it on a fast machine
