"""Options of detection, model and engine: declared once, the same in every command."""

import inspect
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from streamsed.cli.app import app
from streamsed.cli.options import (
    detection_settings,
    engine_settings,
    model_choice,
    with_options,
)
from streamsed.cli.settings_file import SECTIONS, command_of
from streamsed.detection_settings import DetectionSettings

OPTIONS = inspect.signature(detection_settings).parameters


@pytest.mark.parametrize("section", SECTIONS)
def test_a_command_has_all_options_of_detection_one_after_another(section):
    parameters = command_of(section, get_command(app).commands).params
    names = [parameter.name for parameter in parameters]
    first = names.index("sensitivity")
    shown = parameters[first : first + len(OPTIONS)]
    assert [each.name for each in shown] == list(OPTIONS)
    for each in shown:
        assert each.opts == ["--" + each.name.replace("_", "-")]
        assert each.default == OPTIONS[each.name].default
        assert each.help == OPTIONS[each.name].annotation.__metadata__[0].help
    assert "detection" not in names


def run(*words):
    """Return what a command with another option on either side is called with."""
    calls = []
    one = typer.Typer()

    @one.command()
    @with_options(detection=detection_settings)
    def command(
        path: str,
        *,
        before: Annotated[int, typer.Option()] = 1,
        detection: DetectionSettings,
        after: Annotated[str, typer.Option()] = "z",
    ) -> int:
        calls.append((path, before, detection, after))
        return 0

    result = CliRunner().invoke(one, words)
    assert result.exit_code == 0, result.output
    (call,) = calls
    return call


def test_a_command_is_called_with_the_settings_in_place_of_the_options():
    words = ["--threshold", "Dog=0.6", "--min-gap", "0.5", "--sensitivity", "low"]
    words += ["--before", "3", "--ignore", "Cat", "--after", "a"]
    path, before, detection, after = run("a.wav", *words)
    assert (path, before, after) == ("a.wav", 3, "a")
    assert detection == DetectionSettings(
        post={"onset_threshold": {"Dog": 0.6}, "min_gap": 0.5},
        sensitivity="low",
        only=[],
        ignore=["Cat"],
    )


def test_without_options_a_command_gets_the_defaults():
    assert run("a.wav") == ("a.wav", 1, DetectionSettings(only=[], ignore=[]), "z")


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("listen", (model_choice, engine_settings)),
        ("file", (model_choice, engine_settings)),
        ("calibrate", (model_choice, engine_settings)),
        ("corpus", (model_choice,)),
        ("bench", (engine_settings,)),
        ("info", (engine_settings,)),
    ],
)
def test_a_command_has_the_options_of_model_and_engine_one_after_another(name, groups):
    parameters = command_of(name, get_command(app).commands).params
    names = [each.name for each in parameters]
    for group in groups:
        options = inspect.signature(group).parameters
        first = names.index(next(iter(options)))
        shown = parameters[first : first + len(options)]
        assert [(each.name, each.default, each.help) for each in shown] == [
            (option, each.default, each.annotation.__metadata__[0].help)
            for option, each in options.items()
        ]


def test_a_number_of_threads_that_no_engine_starts_is_refused():
    with pytest.raises(ValueError, match=r"--threads must be from 1 to 1024, not 2000"):
        engine_settings(threads=2000)
