"""The help of every command says each thing once."""

import re
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from scripts import view_svg
from streamsed.cli.app import app as runtime
from train.cli.app import app as training


def commands(command, name):
    """Yield every command below one, with its words."""
    if isinstance(command, TyperGroup):
        for word, each in command.commands.items():
            yield from commands(each, f"{name} {word}")
    else:
        yield pytest.param(command, id=name)


COMMANDS = [
    *commands(get_command(runtime), "streamsed"),
    *commands(get_command(training), "train"),
]


def test_there_are_commands():
    assert len(COMMANDS) >= 24


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_has_one_default_and_one_space_between_words(command):
    for option in command.params:
        text = option.help or ""
        assert "  " not in text, option.name
        shown = option.default not in (None, False) and getattr(
            option, "show_default", False
        )
        stated = re.findall(r"\[default: ", text)
        assert len(stated) + bool(shown) <= 1, option.name


@pytest.mark.parametrize(
    ("app", "words"), [(runtime, []), (runtime, ["corpus"]), (training, [])]
)
def test_a_command_is_listed_with_a_whole_sentence(app, words):
    shown = CliRunner().invoke(app, [*words, "--help"]).output
    listed = shown.partition("\nCommands:\n")[2].partition("\n\n")[0]
    summaries = [each.strip() for each in re.split(r"\n  (?=\w)", listed)]
    assert len(summaries) >= 3
    assert [text for text in summaries if not text.endswith(".")] == []
    assert [text for text in summaries if text.endswith("...")] == []


def test_a_script_that_is_asked_for_help_writes_no_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["view_svg", "--help"])
    with pytest.raises(SystemExit) as caught:
        view_svg.main()
    assert caught.value.code == 0
    assert "OUT.svg" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
