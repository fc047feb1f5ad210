"""The options of detection: declared once, and the same in every command that detects."""

import inspect
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from streamsed.cli.app import app
from streamsed.cli.options import detection_settings, with_detection_options
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
    @with_detection_options
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
