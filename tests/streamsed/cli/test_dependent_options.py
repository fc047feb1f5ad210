"""Options that would have no effect are refused before any work."""

import re

import pytest
import typer
from option_rules import assert_rules_exist

from streamsed.cli.app import app
from streamsed.cli.dependent_options import DependentOptions
from streamsed.cli.errors import error_message


def refusal_of(*arguments):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the test reads the text
        app([*map(str, arguments)], prog_name="streamsed", standalone_mode=False)
    return str(caught.value)


def test_the_rules_name_options_that_exist():
    assert_rules_exist(typer.main.get_command(app).commands, DependentOptions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("file a.wav --from 1", "--from needs --plot"),
        (
            "file a.wav --device cuda --threads 2",
            "--device cuda and --threads cannot be combined; choose one",
        ),
        ("listen --step 0.5 --max-load 0.5", "--max-load needs --step auto"),
        (
            "listen --file a.wav --channel 1",
            "--file and --channel cannot be combined; choose one",
        ),
        ("calibrate --recursive", "--recursive needs PATH"),
        ("calibrate a.wav --overwrite", "--overwrite needs --output"),
        ("corpus a -o o --ray-address b:1", "--ray-address needs --engine ray"),
        (
            "corpus a -o o --engine ray --part-every 9",
            "--part-every needs --engine local",
        ),
        (
            "corpus run a -o o --dry-run --engine ray",
            "--dry-run and --engine ray cannot be combined; choose one",
        ),
        (
            "corpus a -o o --dry-run --part-every 9",
            "--dry-run and --part-every cannot be combined; choose one",
        ),
    ],
)
def test_an_option_without_effect_is_refused(arguments, message):
    assert refusal_of(*arguments.split()) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["file", "a.wav", "--output", ""], "--output must not be empty"),
        (["file", ""], "an argument must not be empty"),
        (["listen", "--exec", ""], "--exec must not be empty"),
        (["corpus", "a", "-o", ""], "-o must not be empty"),
    ],
)
def test_an_empty_value_as_of_an_unset_variable_is_refused(arguments, message):
    assert refusal_of(*arguments) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--inference tvm", "--inference must be auto, openvino, onnx or torchscript"),
        (
            "--inference onnx --device cuda",
            "--inference must be torchscript with --device cuda, not 'onnx'",
        ),
        ("--precision fp8", "--precision must be auto, fp32, bf16 or int8, not 'fp8'"),
    ],
)
def test_a_wrong_engine_of_a_corpus_is_named_by_its_option(
    tmp_path, arguments, message
):
    pytest.importorskip("pyarrow")
    pytest.importorskip("fsspec")
    words = ("corpus", tmp_path, "-o", tmp_path / "o", *arguments.split())
    assert error_message(ValueError(refusal_of(*words))).startswith(message)


@pytest.mark.parametrize("latency", ["0", "-1", "nan", "inf", "11"])
def test_doctor_refuses_a_latency_that_listen_refuses(latency, monkeypatch):
    from streamsed.diagnostics import doctor

    monkeypatch.setattr(doctor, "_examine_devices", lambda _: iter(()))
    message = error_message(ValueError(refusal_of("doctor", "--latency", latency)))
    assert re.match("--latency must be (positive|at most one segment)", message)


@pytest.mark.parametrize(
    "arguments",
    [
        "listen --step auto --max-load 2",
        "listen --max-load 2",
        "listen --stdin --channel 1 --max-load 2",
    ],
)
def test_an_option_with_effect_is_read(arguments):
    assert refusal_of(*arguments.split()).startswith("--max-load must be above 0")


def test_a_settings_file_gives_what_an_option_needs_or_excludes(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text('[listen]\nfile = "a.wav"\nmax-load = 0.5\nstep = 1\n')
    start = ("listen", "--settings", path)
    assert refusal_of(*start, "--device", "USB") == (
        "--file of the settings file and --device cannot be combined; choose one"
    )
    assert refusal_of(*start, "--max-load", "0.5") == "--max-load needs --step auto"
    # What stands in the file may be without effect; then the next check is made.
    assert re.match("--pace must be from 0", refusal_of(*start, "--pace", "-1"))
