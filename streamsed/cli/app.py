"""The command line: which commands there are, and what an error looks like."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

import streamsed
from streamsed.cli.bench import bench
from streamsed.cli.corpus.app import corpus
from streamsed.cli.devices import devices
from streamsed.cli.doctor import doctor
from streamsed.cli.file import file
from streamsed.cli.info import info
from streamsed.cli.interruption import Interruptible, Interruption
from streamsed.cli.listen import listen
from streamsed.cli.report import report
from streamsed.cli.serve.events import events
from streamsed.cli.serve.serve import serve
from streamsed.cli.settings import settings
from streamsed.terminal import open_closed_streams, printable

UsageError: Any = typer.BadParameter.__mro__[1]  # typer brings its own or click's

EXIT_CODES = (
    "Exit codes: 0 all was done; 1 part of it failed, or a check found a fault; 2 nothing "
    "was done, or an option or a file is wrong; 130 interrupted."
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

for command in (
    file,
    listen,
    serve,
    report,
    events,
    devices,
    doctor,
    info,
    bench,
):
    app.command(epilog=EXIT_CODES)(command)
app.command(
    epilog=EXIT_CODES,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(settings)
app.add_typer(corpus, name="corpus", epilog=EXIT_CODES)


def main() -> NoReturn:
    """Run the command line; what a user did wrong becomes one line and exit code 2."""
    open_closed_streams()
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
        # The reader of our output left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (OSError, ValueError, ModuleNotFoundError) as error:
        message = str(error)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            message = f"the output must be writable to its end ({error.strerror})"
        code = _fail(message)
    except Exception as error:  # a defect of ours; nobody should have to read its trace
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


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback form
    if wanted:
        from streamsed.diagnostics.version import version_lines

        for line in version_lines():
            print(line)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - the callback has done it
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
