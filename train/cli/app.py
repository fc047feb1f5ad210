"""The command line of training: its commands, and how errors are printed."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer

from streamsed.cli.errors import Interruptible, Interruption, error_message
from streamsed.installation import install_command
from streamsed.terminal import printable
from train.annotations.desed import NoDesedError
from train.cli import data
from train.cli.ablations import ablations
from train.cli.adapt.command import adapt_command
from train.cli.card import card
from train.cli.evaluate import evaluate
from train.cli.export import export
from train.cli.fit import fit
from train.cli.options import EXIT_CODES, TrainingOptions, with_json_log
from train.cli.soundscapes import soundscapes
from train.cli.table1 import table1
from train.cli.tune import tune

UsageError: Any = typer.BadParameter.__mro__[1]  # typer brings its own or click's

app = typer.Typer(
    name="python -m train",
    cls=Interruptible,
    help="Train a sound event detector, measure it and export it to a model file. "
    "Without a command: table1.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXAMPLES = (
    (table1, "python -m train table1 --data DESED --run runs/table1"),
    (ablations, "python -m train ablations --data DESED --run runs/ablations"),
    (fit, "python -m train fit --soundbank sounds --run runs/mine --minutes 60"),
    (tune, "python -m train tune runs/mine --soundbank sounds --output points.json"),
    (evaluate, "python -m train evaluate --reference truth.tsv --estimated events.tsv"),
    (export, "python -m train export runs/mine --output mine.pt --soundbank sounds"),
    (soundscapes, "python -m train soundscapes mixed --soundbank sounds --n 100"),
    (card, "python -m train card mine.pt --soundbank sounds --blueprint strong.tsv"),
)
"""Commands, each with an example for its help."""

for command, example in EXAMPLES:
    app.command(cls=TrainingOptions, epilog=f"Example: {example}\n\n{EXIT_CODES}")(
        with_json_log(command)
    )
app.command(
    "adapt",
    cls=TrainingOptions,
    epilog="Example: python -m train adapt default --soundbank my-sounds --output my.pt"
    f"\n\n{EXIT_CODES}",
)(with_json_log(adapt_command))
app.add_typer(data.app, name="data", epilog=EXIT_CODES)


def main() -> NoReturn:
    """Run the command line; what a user did wrong becomes one line and exit code 2."""
    arguments = sys.argv[1:]
    if not arguments or (
        arguments[0].startswith("--") and arguments[0] not in ("--help", "-h")
    ):
        arguments.insert(0, table1.__name__)
    try:
        code = app(arguments, standalone_mode=False) or 0
    except UsageError as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, Interruption):
        code = 130
        print(
            "train: interrupted; to continue, repeat the command (`fit` and `adapt` with "
            "--resume)",
            file=sys.stderr,
        )
    except NoDesedError as error:
        code = 2
        print(error, end="", file=sys.stderr)  # instructions of several lines
    except (OSError, ValueError, FloatingPointError) as error:
        code = _fail(error_message(error, _option_names(arguments)))
    except ModuleNotFoundError as error:
        code = _fail(f"this needs the package {error.name}: {install_command('train')}")
    except Exception as error:  # a bug; users should not have to read a traceback
        if os.environ.get("STREAMSED_TRACEBACK"):
            raise
        code = _fail(
            f"unexpected {type(error).__name__}: {str(error)[:200]}; please report it, "
            "with what STREAMSED_TRACEBACK=1 shows"
        )
    sys.exit(code)


def _option_names(arguments: list[str]) -> dict[str, str]:
    """Return the option that sets each parameter of the command that was run."""
    command: Any = typer.main.get_command(app)
    for word in arguments[:2]:
        command = getattr(command, "commands", {}).get(word, command)
    return {
        parameter.name: max(parameter.opts, key=len)
        for parameter in command.params
        if parameter.opts[0].startswith("-")
    }


def _fail(message: str) -> int:
    print(f"train: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return 2
