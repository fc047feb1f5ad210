"""What the tests of training share: its command, in this process."""

import sys

import pytest

from train.cli import app as cli


@pytest.fixture
def train(monkeypatch, capsys):
    """Run a command; return the exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, capsys.readouterr()

    return run
