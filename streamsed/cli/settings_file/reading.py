"""Read a settings file, and make its values the defaults of a command's options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsed.cli.settings_file.schema import (
    APART,
    SECTIONS,
    Option,
    command_of,
    options_of,
    shared_options,
)
from streamsed.cli.settings_file.serve_tables import (
    TABLES,
    is_of_serve,
    without_serve,
)
from streamsed.config.settings import parse_toml, toml_text

MAX_BYTES = 1_000_000


def apply_settings(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values in a settings file the defaults of a command's options."""
    if path is not None and not context.resilient_parsing:
        commands = context.find_root().command.commands  # type: ignore[attr-defined]
        own = {id(command_of(each, commands)): each for each in SECTIONS}
        name = own.get(id(context.command), "")
        context.default_map = read_settings(path, commands).get(name, {})
    return path


SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="TOML",
        is_eager=True,
        callback=apply_settings,
        help="Read settings from a file; see `streamsed settings`.",
    ),
]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file of settings without checking them.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not TOML.
    """
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"{path}: larger than {MAX_BYTES} bytes, the limit for settings"
        )
    try:
        return parse_toml(toml_text(text))
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML ({error})") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None


def read_settings(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a settings file and check every name and value in it.

    Parameters
    ----------
    path : Path
        TOML.
    commands : mapping
        The program's commands by name.

    Returns
    -------
    dict
        For each of `SECTIONS`, the values of its parameters by their names in the code.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not TOML, or a name or value in it is invalid.
    """
    return _values(path, read_toml(path), commands)


def read_shared(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a settings file as `read_settings`, but only what stands at its top."""
    top = {k: v for k, v in read_toml(path).items() if not _is_section(k, v)}
    return _values(path, top, commands)


def _values(
    path: Path, settings: dict[str, Any], commands: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    if is_of_serve(settings):
        settings = without_serve(settings)
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    sharing = shared_options(commands)
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    shared = {k: v for k, v in settings.items() if not _is_section(k, v)}
    for key, value in shared.items():
        name = _known(f"{path}:", key, set().union(*schema.values()))
        if name in APART:
            places = [f"[{each}]" for each in SECTIONS if name in schema[each]]
            raise ValueError(f"{path}: {key} belongs under {' or '.join(places)}")
        owners = [each for each in SECTIONS if name in sharing[each]]
        owners = owners or [each for each in SECTIONS if name in schema[each]][:1]
        for section, options in schema.items():
            if section in owners:
                option = options[name]
                values[section][option.parameter] = _value(
                    f"{path}:", key, value, option
                )
    for section in SECTIONS:
        own, where = settings.get(section), f"{path}: [{section}]"
        for key, value in own.items() if isinstance(own, dict) else ():
            option = schema[section][_known(where, key, set(schema[section]))]
            values[section][option.parameter] = _value(where, key, value, option)
    return values


def _is_section(key: str, value: Any) -> bool:
    return key in SECTIONS and isinstance(value, dict)


def _known(where: str, key: str, names: set[str]) -> str:
    """Return the option's name for a key, spelt with hyphens or underscores."""
    name = key.replace("_", "-")
    if name not in names:
        near = difflib.get_close_matches(name, sorted(names), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if key in TABLES:
            hint = "; it is for 'streamsed serve', beside a [[source]]"
        raise ValueError(f"{where} {key!r} is not a setting{hint}")
    return name


def _value(where: str, key: str, value: Any, option: Option) -> Any:
    """Return a value as the option's type, or raise ValueError naming that type."""

    def require(holds: object, kind: str) -> None:
        if not holds:
            raise ValueError(f"{where} {key} must be {kind}, not {value!r}")

    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option.kind is bool:
        require(isinstance(value, bool), "true or false")
        return value
    if option.kind is int:
        require(number and isinstance(value, int), "a whole number")
        return value
    if option.kind is float:
        require(number, "a number")
        return value
    if option.kind is list:
        entries = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            entries = [f"{label}={each}" for label, each in value.items()]
        plain = all(isinstance(each, str | int | float) for each in entries)
        require(plain, "one value, a list of them, or values by label")
        return [str(each) for each in entries]
    require(number or isinstance(value, str), "text")
    return str(value)
