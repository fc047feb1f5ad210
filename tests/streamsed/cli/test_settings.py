import tomllib
from pathlib import Path

import pytest
import soundfile
from sounds import RATE, scene
from typer.main import get_command

from streamsed.cli.app import app
from streamsed.cli.settings_file import (
    SECTIONS,
    command_of,
    options_of,
    read_settings,
    write_settings,
)
from streamsed.cli.settings_file.serve_tables import TABLES
from streamsed.serve.settings import SettingsError, read_serve_settings

ROOT = Path(__file__).parents[3]
COMMANDS = get_command(app).commands
DOCUMENT = """
sensitivity = "low"
min_gap = 0.5
ignore = ["Speech"]
trust-model = true

[threshold]
Dog = 0.6
"Running water" = 1

[listen]
device = 3
step = "auto"
log = "night.jsonl"

[file]
device = "cpu"
step = 1

[corpus]
engine = "ray"
workers = 3
"""


def read(tmp_path, text):
    path = tmp_path / "home.toml"
    path.write_text(text)
    return read_settings(path, COMMANDS)


def test_a_file_serves_all_commands(tmp_path):
    settings = read(tmp_path, DOCUMENT)
    shared = {
        "sensitivity": "low",
        "min_gap": ["0.5"],
        "ignore": ["Speech"],
        "trust_model": True,
        "threshold": ["Dog=0.6", "Running water=1"],
    }
    own = {"device": "3", "step": "auto", "log": "night.jsonl"}
    assert settings["listen"] == shared | own
    assert settings["file"] == shared | {"device": "cpu", "step": 1}
    assert settings["corpus"] == shared | {"engine": "ray", "workers": 3}


def test_what_an_option_means_elsewhere_stays_there(tmp_path):
    settings = read(tmp_path, 'engine = "onnx"\noutput = "a.tsv"\nscores = "b.tsv"\n')
    assert settings["listen"] == {"engine": "onnx"}
    assert settings["file"]["engine"] == "onnx"
    assert settings["file"]["output"] == "a.tsv"
    assert settings["corpus"] == {}


def test_every_option_is_a_setting_and_every_default_comes_back(tmp_path):
    defaults = {
        section: {
            param.name: param.default
            for param in command_of(section, COMMANDS).params
            if param.name not in ("help", "settings", "paths", "inputs")
        }
        for section in SECTIONS
    }
    text = write_settings(defaults, COMMANDS)
    again = read(tmp_path, text)
    for section in SECTIONS:
        for name, value in again[section].items():
            assert value == (defaults[section][name] or value)
        for option in options_of(command_of(section, COMMANDS)):
            assert f"\n{option} =" in text or f"\n# {option} =" in text


HOME = """
sensitivity = "low"
labels = ["Dog", "Speech"]
step = 0.5
threads = 1

[threshold]
Dog = 0.6

[[source]]
name = "door"
url = "rtsp://192.168.1.20/audio"
sensitivity = "high"

[log]
path = "/var/log/streamsed/home.jsonl"

[exec]
command = "/etc/streamsed/notify.sh"

[[rule]]
label = "Dog"

[file]
step = 1
"""


def test_the_file_of_serve_gives_its_detection_to_the_other_commands(tmp_path):
    settings = read(tmp_path, HOME)
    shared = {
        "sensitivity": "low",
        "label": ["Dog", "Speech"],
        "threshold": ["Dog=0.6"],
    }
    assert settings["listen"] == shared | {"threads": 1}
    assert settings["file"] == shared | {"threads": 1, "step": 1}
    assert settings["corpus"] == shared


def test_the_file_of_a_house_is_one_for_listen_as_well():
    settings = read_settings(ROOT / "deploy" / "home.toml", COMMANDS)
    assert settings == {section: {} for section in SECTIONS}


def test_the_tables_passed_over_are_those_that_serve_reads(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text("".join(f"[{name}]\n" for name in ("nothing", *TABLES)))
    with pytest.raises(SettingsError) as caught:
        read_serve_settings(path)
    wrong = [mistake.text.partition(";")[0] for mistake in caught.value.mistakes]
    unknown = [text for text in wrong if text.endswith("is not a setting")]
    assert unknown == ["'nothing' is not a setting"]


def test_the_check_of_a_file_of_serve_says_what_checks_the_rest(streamsed, tmp_path):
    path = tmp_path / "home.toml"
    path.write_text(HOME)
    checked = streamsed("settings", "--settings", path)
    assert checked.stdout.splitlines() == [
        f"{path}: all names are known, and the detection settings fit the model",
        f"its sources and outputs: streamsed serve {path} --check",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[threshold]\nDog = nan", "threshold must be from 0 to 1, not nan"),
        ("[threshold]\nDgo = 0.4", "unknown label 'Dgo'; did you mean 'Dog'?"),
        (
            "threshold = true",
            "threshold must be a number or LABEL=NUMBER, not 'True'",
        ),
        ("rise-threshold = 0.99", "must be at most its threshold"),
        ("sensitivity = 'loud'", "sensitivity must be one of low, normal, high"),
        ("label = ['Cow']", "label: unknown label 'Cow'"),
        ("settle = 60.0", "settle must be"),
        ("model = 'nothing.pt'", "nothing.pt: neither a shipped model"),
    ],
)
def test_a_check_refuses_what_the_commands_would_refuse(
    streamsed, tmp_path, text, words
):
    path = tmp_path / "home.toml"
    path.write_text(text)
    run = streamsed("settings", "--settings", path)
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = run.stderr.splitlines()
    assert words in line
    assert line.startswith(f"streamsed: error: {path}: ")
    assert "[listen]" not in line  # it stands at the top of the file


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[file]\nsettle = 60.0", "[file] settle must be"),
        ("settle = 5.0\n[corpus]\nsettle = 60.0", "[corpus] settle must be"),
        (
            "threshold = 0.9\n[listen]\nrise-threshold = 2.0",
            "[listen] rise-threshold must",
        ),
        ("threshold = 0.9\n[file]\nrise-threshold = 0.95", "[file] rise-threshold of"),
        ("[listen]\nrecursive = true", "[listen] 'recursive' is not a setting"),
        ("[listen]\nlatency = true", "[listen] latency must be a number"),
    ],
)
def test_a_fault_is_named_with_the_table_it_stands_in(streamsed, tmp_path, text, start):
    path = tmp_path / "home.toml"
    path.write_text(text)
    run = streamsed("settings", "--settings", path)
    assert run.returncode == 2
    assert run.stderr.startswith(f"streamsed: error: {path}: {start}")


@pytest.mark.parametrize(
    ("text", "options", "fault"),
    [
        (
            "[threshold]\nDgo = 0.4",
            "",
            "{path}: threshold: unknown label 'Dgo'; did you",
        ),
        ("threshold = 2", "", "{path}: threshold must be from 0 to 1, not 2"),
        ("[{table}]\nmin_gap = 'x'", "", "{path}: [{table}] min-gap must be a number"),
        ("settle = 60.0", "", "{path}: settle must be"),
        ("ignore = ['Dog']", "--label Cow", "--label: unknown label 'Cow'"),
        ("settle = 2.0", "--threshold 3", "--threshold must be from 0 to 1, not 3"),
    ],
)
@pytest.mark.parametrize("table", ["file", "listen", "corpus"])
def test_a_command_names_the_file_of_a_wrong_value(
    streamsed, model_path, tmp_path, table, text, options, fault
):
    audio, path = tmp_path / "a.wav", tmp_path / "home.toml"
    soundfile.write(audio, scene(1.0), RATE)
    path.write_text(text.format(table=table))
    what = {
        "file": ["file", audio],
        "listen": ["listen", "--file", audio, "--pace", "0"],
        "corpus": ["corpus", audio, "-o", tmp_path / "out"],
    }[table]
    given = ["--model", model_path, "--settings", path, *options.split()]
    run = streamsed(*what, *given)
    assert run.returncode == 2
    *_, line = run.stderr.splitlines()
    said = fault.format(path=path, table=table)
    assert line.startswith(f"streamsed: error: {said}")


def test_a_value_of_a_file_that_an_option_contradicts_is_named_with_the_file(
    streamsed, tmp_path
):
    audio, path = tmp_path / "a.wav", tmp_path / "home.toml"
    soundfile.write(audio, scene(1.0), RATE)
    path.write_text("latency = 3.0")
    run = streamsed("file", audio, "--settings", path, "--settle", "2")
    assert run.returncode == 2
    said = "--settle must be at least --latency 3.0 (in seconds), not 2.0"
    assert run.stderr == f"streamsed: error: {said} ({path} sets latency)\n"


def test_a_command_names_the_file_that_names_a_model_that_is_missing(
    streamsed, tmp_path
):
    path = tmp_path / "home.toml"
    path.write_text("[listen]\nmodel = 'nothing.pt'")
    run = streamsed("listen", "--file", "a.wav", "--settings", path)
    assert run.returncode == 2
    said = f"{path}: [listen] model: nothing.pt: neither a shipped model"
    assert run.stderr.startswith(f"streamsed: error: {said}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[store]\ndays = 3", r"'store' .* 'streamsed serve', beside a \[\[source\]\]"),
        ("[[source]]\n[sorce]", "'sorce' is not a setting"),
        ("[[source]]\n[listen]\nclips = 3", "'clips' is not a setting"),
        ("source = 'usb'", "'source' is not a setting"),
        ("[log]\npath = 'a'", "log must be text"),
        ("treshold = 0.5", "'treshold' is not a setting; did you mean 'threshold'?"),
        ("[listen]\nrecursive = true", "'recursive' is not a setting"),
        ("step = 1", r"step belongs under \[listen\] or \[file\]"),
        ("file = 'a.wav'", r"file belongs under \[listen\]$"),
        ("latency = '1'", "latency must be a number, not '1'"),
        ("latency = true", "latency must be a number, not True"),
        ("threads = 1.5", "threads must be a whole number, not 1.5"),
        ("trust-model = 1", "trust-model must be true or false, not 1"),
        ("model = ['a']", r"model must be text, not \['a'\]"),
        ("ignore = [['Dog']]", "must be one value, a list of them, or values by label"),
        ("settings = 'b.toml'", "'settings' is not a setting"),
        ("latency = ", "not valid TOML"),
        ("a = " + "[" * 5000, "(not valid TOML|nested too deeply)"),
        ("a" + ".a" * 100_000 + " = 1", "a key has more than 32 parts"),
        ("b = {a" + " . 'a'" * 100_000 + " = 1}", "a key has more than 32 parts"),
        ("# " + "x" * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as caught:
        read(tmp_path, text)
    assert "home.toml" in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text("settle = 5.0", encoding="utf-8-sig")  # as some editors write it
    commands = get_command(app).commands
    assert read_settings(path, commands)["listen"] == {"settle": 5.0}


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "home.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not valid TOML"):
        read_settings(path, COMMANDS)


def test_the_settings_in_force_are_written_and_read_again(streamsed, tmp_path):
    path = tmp_path / "home.toml"
    path.write_text(DOCUMENT)
    options = ["--settings", path, "--print", "--latency", "2", "--label", "Ä\"'\\"]
    written = streamsed("settings", *options)
    assert written.stderr == ""
    settings = tomllib.loads(written.stdout)
    assert settings["latency"] == 2.0
    assert settings["threshold"] == ["Dog=0.6", "Running water=1"]
    assert settings["label"] == ["Ä\"'\\"]
    assert settings["listen"]["log"] == "night.jsonl"
    assert settings["file"]["device"] == "cpu"
    path.write_text(written.stdout)
    again = streamsed("settings", "--settings", path, "--print")
    assert again.stdout == written.stdout


def test_a_file_is_used_and_the_command_line_goes_before_it(streamsed, tmp_path):
    audio, path = tmp_path / "a.wav", tmp_path / "home.toml"
    soundfile.write(audio, scene(6.0), RATE)
    path.write_text("label = ['Dog']\n[file]\nformat = 'csv'\n")
    by_file = streamsed("file", audio, "--settings", path).stdout
    by_hand = streamsed("file", audio, "--label", "Dog", "--format", "csv").stdout
    assert by_file == by_hand
    assert "Dog" in by_file
    other = streamsed("file", audio, "--settings", path, "--label", "Speech").stdout
    assert "Dog" not in other
    assert "Speech" in other


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --print, or --settings FILE"),
        (["--settings", "nowhere.toml"], "nowhere.toml"),
        (["--print", "--lattency", "2"], "--lattency"),
    ],
)
def test_what_is_wrong_with_the_command_is_one_line(streamsed, arguments, words):
    run = streamsed("settings", *arguments)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert words in line
