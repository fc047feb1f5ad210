"""What the command says of itself: its version, its help, completions for a shell."""

import hashlib
import platform
import re
import subprocess
import sys
from pathlib import Path

from environment import ENVIRONMENT, without

import streamsed as package
from streamsed.inference.model_file import find_model


def test_the_script_says_its_version():
    script = Path(sys.executable).with_name("streamsed")
    run = subprocess.run(
        [script, "--version"], capture_output=True, text=True, check=True
    )
    program, python, model, engine = run.stdout.splitlines()
    assert program == f"streamsed {package.__version__}"
    assert python.startswith(f"python {platform.python_version()}, ")
    shipped = (find_model("default")).read_bytes()
    assert model == f"model default, sha256 {hashlib.sha256(shipped).hexdigest()}"
    assert re.fullmatch(r"engine (openvino|onnx|torchscript) \S+, \w+ on cpu", engine)
    assert run.stderr == ""


def test_the_version_names_the_engine_that_is_there(streamsed):
    run = streamsed("--version", env=without("openvino", "torch"))
    assert run.returncode == 0
    assert re.search(r"^engine onnx \d\S*, ", run.stdout, re.MULTILINE)
    run = streamsed("--version", env=without("openvino", "torch", "onnxruntime"))
    assert run.returncode == 0
    assert "\nengine: none (" in run.stdout
    assert "pip install openvino" in run.stdout


def test_every_command_has_a_short_help_that_lists_the_exit_codes(streamsed):
    commands = (
        "file",
        "listen",
        "serve",
        "report",
        "events",
        "devices",
        "doctor",
        "info",
        "bench",
    )
    for words in ([], *([command] for command in commands)):
        run = streamsed(*words, "-h")
        assert run.returncode == 0
        codes = " ".join(run.stdout.split("Exit codes: ")[-1].split())
        for code, meaning in ((0, "all"), (1, "part"), (2, "nothing"), (130, "inter")):
            assert f"{code} {meaning}" in codes


def test_a_shell_can_complete_commands_and_options(streamsed):
    def completed(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        how = {"_STREAMSED_COMPLETE": "complete_bash"}
        return streamsed(env=ENVIRONMENT | words | how).stdout.split()

    assert completed("streamsed do") == ["doctor"]
    assert completed("streamsed file --thresh") == ["--threshold"]


def test_every_command_has_an_example_in_its_help(streamsed):
    for words in (["file"], ["settings"], ["corpus", "run"], ["corpus", "search"]):
        run = streamsed(*words, "--help")
        assert f"Example: streamsed {' '.join(words)} " in " ".join(run.stdout.split())


def test_corpus_alone_prints_its_help(streamsed):
    run = streamsed("corpus")
    assert run.returncode == 0
    assert run.stdout.startswith("Usage: streamsed corpus")
    assert run.stderr == ""
