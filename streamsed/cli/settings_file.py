"""Settings in a TOML file: the options of the commands, by name.

The schema is derived from the commands themselves, so an option and its setting have the
same name, type and help text::

    sensitivity = "low"              # for every command that has --sensitivity
    ignore = ["Speech"]

    [threshold]                      # by label, or one number for all
    Dog = 0.6

    [listen]                         # for this command only
    log = "/var/log/streamsed/night.jsonl"

Options on the command line take precedence over the file.
"""

from __future__ import annotations

import difflib
import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import typer

SECTIONS = ("listen", "file", "corpus")
"""Commands that take settings from a file."""

APART = frozenset({"device", "format", "step", "file"})
"""Options that have another meaning in each command, and belong in its section."""

APART_FROM = {"corpus": frozenset({"engine"})}
"""Options that mean something else in one command than in the others."""

MAX_BYTES = 1_000_000


class Option(NamedTuple):
    """An option of a command, as a setting.

    Parameters
    ----------
    parameter : str
        Its name in the code.
    kind : type
        bool, int, float, list (of numbers or texts, or by label) or str.
    help : str
        What it does.
    """

    parameter: str
    kind: type
    help: str


def options_of(command: Any) -> dict[str, Option]:
    """Return the options of a command by their names in a settings file."""
    signature = inspect.signature(command.callback, eval_str=True)
    options = {}
    for param in command.params:
        names = [name[2:] for name in param.opts if name.startswith("--")]
        if names and names[0] not in ("help", "settings"):
            hint = signature.parameters[param.name].annotation.__origin__
            kinds = {get_origin(each) or each for each in get_args(hint) or (hint,)}
            kind = next((k for k in (bool, int, float, list) if k in kinds), str)
            if get_origin(hint) is list:
                kind = list
            options[names[0]] = Option(param.name, kind, param.help or "")
    return options


def command_of(section: str, commands: Mapping[str, Any]) -> Any:
    """Return the command that a section is for; `corpus` is a group that runs by default."""
    command = commands[section]
    return getattr(command, "commands", {}).get("run", command)


def shared_options(commands: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each section the options that it shares with others: those of `listen`.

    They stand at the top of a file.
    """
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    common = [name for name in schema["listen"] if name in schema["file"]]
    return {
        section: [
            name
            for name in common
            if name in options
            and name not in APART
            and name not in APART_FROM.get(section, ())
        ]
        for section, options in schema.items()
    }


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
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"{path}: larger than {MAX_BYTES} bytes, the limit for settings"
        )
    try:
        settings = tomllib.loads(text.decode())
    except ValueError as error:
        raise ValueError(f"{path}: not valid TOML ({error})") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply") from None
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    sharing = shared_options(commands)
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    shared = {k: v for k, v in settings.items() if not _is_section(k, v)}
    for key, value in shared.items():
        name = _known(path, key, set().union(*schema.values()))
        if name in APART:
            raise ValueError(f"{path}: {key} belongs under [listen] or [file]")
        owners = [each for each in SECTIONS if name in sharing[each]]
        owners = owners or [each for each in SECTIONS if name in schema[each]][:1]
        for section, options in schema.items():
            if section in owners:
                option = options[name]
                values[section][option.parameter] = _value(path, key, value, option)
    for section in SECTIONS:
        own = settings.get(section)
        for key, value in own.items() if isinstance(own, dict) else ():
            option = schema[section][_known(path, key, set(schema[section]))]
            values[section][option.parameter] = _value(path, key, value, option)
    return values


def write_settings(values: Mapping[str, Mapping[str, Any]], commands: Any) -> str:
    """Return settings as the text of a file that `read_settings` reads back.

    Parameters
    ----------
    values : mapping
        For each of `SECTIONS`, the values of its parameters.
    commands : mapping
        The program's commands by name.

    Raises
    ------
    ValueError
        A value is a file name that is not valid text.
    """
    schema = {each: options_of(command_of(each, commands)) for each in SECTIONS}
    sharing = shared_options(commands)
    first = SECTIONS[0]
    lines = [
        line
        for name in sharing[first]
        for line in _lines(name, schema[first][name], values[first])
    ]
    for section in SECTIONS:
        lines.append(f"\n[{section}]")
        for name, option in schema[section].items():
            if name not in sharing[section]:
                lines += _lines(name, option, values[section])
    return "\n".join(lines) + "\n"


def _lines(name: str, option: Option, values: Mapping[str, Any]) -> Iterator[str]:
    value = values.get(option.parameter)
    yield f"# {' '.join(option.help.split())}"
    if value is None or value in ([], ()):
        yield f"# {name} ="
    else:
        yield f"{name} = {_toml(name, value)}"


def _toml(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(name, each) for each in value)}]"
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"--{name}: {text!r} is not valid UTF-8, so a settings file cannot contain it"
        ) from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_section(key: str, value: Any) -> bool:
    return key in SECTIONS and isinstance(value, dict)


def _known(path: Path, key: str, names: set[str]) -> str:
    """Return the option's name for a key, spelt with hyphens or underscores."""
    name = key.replace("_", "-")
    if name not in names:
        near = difflib.get_close_matches(name, sorted(names), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{path}: {key!r} is not a setting{hint}")
    return name


def _value(path: Path, key: str, value: Any, option: Option) -> Any:
    """Return a value as the option's type, or raise ValueError naming that type."""

    def require(holds: object, kind: str) -> None:
        if not holds:
            raise ValueError(f"{path}: {key} must be {kind}, not {value!r}")

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
