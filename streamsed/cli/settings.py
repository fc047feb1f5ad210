"""`streamsed settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsed.cli.settings_file import (
    SECTIONS,
    command_of,
    is_of_serve,
    read_settings,
    read_shared,
    read_toml,
    write_settings,
)


def settings(
    context: typer.Context,
    *,
    path: Annotated[
        Path | None,
        typer.Option("--settings", metavar="TOML", help="The file to read and check."),
    ] = None,
    print_them: Annotated[
        bool,
        typer.Option(
            "--print", help="Print the current settings as TOML, with comments."
        ),
    ] = False,
) -> None:
    """Check a settings file, or write one.

    `streamsed settings --print > home.toml` writes all settings with their defaults;
    options of `listen` on the same command line are included. Use the file with
    `streamsed listen --settings home.toml` or `streamsed file --settings home.toml`.
    Options on the command line take precedence over the file.
    """
    commands = context.find_root().command.commands  # type: ignore[attr-defined]
    if path is not None:
        read = read_settings(path, commands)
    if not print_them:
        if path is None:
            raise ValueError(
                "give --print, or --settings FILE; see `streamsed settings --help`"
            )
        if context.args:
            raise ValueError(f"{context.args[0]} can only be given with --print")
        shared = read_shared(path, commands)
        for section, values in read.items():
            _check_detection(path, section, values, shared[section])
        print(f"{path}: all names are known, and the detection settings fit the model")
        if is_of_serve(read_toml(path)):
            print(f"its sources and outputs: streamsed serve {path} --check")
        return
    given = [] if path is None else ["--settings", str(path)]
    values = {}
    for section in SECTIONS:
        command = command_of(section, commands)
        words = [*given, *context.args] if section == SECTIONS[0] else [*given, "."]
        required = [
            each for each in command.params if each.required and each.opts[0][:1] == "-"
        ]
        words += [word for each in required for word in (each.opts[0], ".")]
        made = command.make_context(section, words, parent=context.find_root())
        values[section] = {**made.params, **{each.name: None for each in required}}
    print(write_settings(values, commands), end="")


def _check_detection(
    path: Path, section: str, values: Mapping[str, Any], shared: Mapping[str, Any]
) -> None:
    """Raise ValueError if a command would refuse its detection settings or its model.

    The message names the command's section, unless the settings that it shares with others
    have the same fault without those of its own.
    """
    if fault := _fault_of(values):
        place = f"{path}:" if _fault_of(shared) == fault else f"{path}: [{section}]"
        raise ValueError(f"{place} {re.sub(r'--(?=[a-z])', '', fault)}")


def _fault_of(values: Mapping[str, Any]) -> str:
    """Return why a command would refuse its detection settings or its model, or ""."""
    from streamsed.cli.errors import error_message
    from streamsed.cli.options import detection_settings
    from streamsed.detection_settings import stream_for
    from streamsed.inference.model_file import ModelFile, find_model

    given = {
        k: values[k] for k in signature(detection_settings).parameters if k in values
    }
    settle = values.get("settle")
    try:
        detection = detection_settings(**given)
        model = find_model(values.get("model", "default"))
        info = ModelFile.open(model, sha256=values.get("model_sha256")).info
        stream = stream_for(info, step=None, latency=None, settle=settle)
        detection.post_for(info, settle=stream.settled)
        detection.reported(info.labels)
    except (OSError, ValueError) as error:
        return error_message(error)
    return ""
