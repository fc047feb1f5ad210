"""The command line: its commands, and how errors are printed."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

import streamsed
from streamsed.cli.bench import bench
from streamsed.cli.calibrate.command import calibrate
from streamsed.cli.corpus.app import corpus
from streamsed.cli.dependent_options import DependentOptions
from streamsed.cli.devices import devices
from streamsed.cli.doctor import doctor
from streamsed.cli.errors import Interruptible, Interruption, error_message
from streamsed.cli.file import file
from streamsed.cli.info import info
from streamsed.cli.listen import listen
from streamsed.cli.report import report
from streamsed.cli.serve.events import events
from streamsed.cli.serve.serve import serve
from streamsed.cli.settings import settings
from streamsed.terminal import (
    keep_working_without_stderr,
    open_closed_streams,
    printable,
)

UsageError: Any = typer.BadParameter.__mro__[1]  # typer brings its own or click's

EXIT_CODES = (
    "Exit codes: 0 all done; 1 part of the work failed, or a check found a fault; 2 nothing "
    "was done, or an option or a file is invalid; 130 interrupted."
)

app = typer.Typer(
    name="streamsed",
    cls=Interruptible,
    help=streamsed.__doc__,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXAMPLES = (
    (file, "streamsed file kitchen.wav -o events.csv"),
    (listen, "streamsed listen --label Dog --log night.jsonl"),
    (serve, "streamsed serve --check home.toml && streamsed serve home.toml"),
    (calibrate, "streamsed calibrate --minutes 30 -o room.toml"),
    (report, "streamsed report night.jsonl --plot night.png"),
    (events, "streamsed events home.toml --since yesterday --label Dog"),
    (devices, "streamsed devices"),
    (doctor, "streamsed doctor --device USB"),
    (info, "streamsed info default"),
    (bench, "streamsed bench default --threads 2"),
)
"""Commands, each with an example for its help."""

for command, example in EXAMPLES:
    app.command(cls=DependentOptions, epilog=f"Example: {example}\n\n{EXIT_CODES}")(
        command
    )
app.command(
    epilog=f"Example: streamsed settings --print > home.toml\n\n{EXIT_CODES}",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(settings)
app.add_typer(corpus, name="corpus", epilog=EXIT_CODES)


def main() -> NoReturn:
    """Run the command line; a user's error becomes one line and exit code 2."""
    open_closed_streams()
    keep_working_without_stderr()
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name need not be UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = app(prog_name="streamsed", standalone_mode=False) or 0
        print(end="", flush=True)
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "streamsed"
        code = _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`")
    except (KeyboardInterrupt, Interruption):
        code = 130
        print("streamsed: interrupted", file=sys.stderr)
    except BrokenPipeError:
        # The reader of our output has exited, so there is nobody to report it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (OSError, ValueError, ModuleNotFoundError) as error:
        code = _fail(error_message(error))
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        code = _fail(f"not enough memory{detail}; end other programs, and try again")
    except Exception as error:  # a bug; users should not have to read a traceback
        if os.environ.get("STREAMSED_TRACEBACK"):
            raise
        code = _fail(
            f"unexpected {type(error).__name__}: {str(error)[:200]}; please report it, "
            "with what STREAMSED_TRACEBACK=1 shows"
        )
    sys.exit(code)


def _fail(message: str) -> int:
    print(f"streamsed: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return 2


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - a typer callback
    if wanted:
        from streamsed.diagnostics.version import version_lines

        for line in version_lines():
            print(line)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - used by its callback
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, the default model and the engine that runs it here.",
        ),
    ] = False,
) -> None:
    """Detect sound events: named, with exact onsets and offsets."""
    if context.invoked_subcommand is None:
        print(context.get_help())
