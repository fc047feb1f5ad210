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

The file of `streamsed serve` may be the same one: a file with `[[source]]` has tables that
only `serve` reads, and the other commands take its settings of detection.
"""

from streamsed.cli.settings_file.faults import fault_of_file
from streamsed.cli.settings_file.reading import (
    SettingsOption,
    read_settings,
    read_shared,
    read_toml,
)
from streamsed.cli.settings_file.schema import SECTIONS, command_of, options_of
from streamsed.cli.settings_file.serve_tables import is_of_serve
from streamsed.cli.settings_file.writing import write_settings

__all__ = [
    "SECTIONS",
    "SettingsOption",
    "command_of",
    "fault_of_file",
    "is_of_serve",
    "options_of",
    "read_settings",
    "read_shared",
    "read_toml",
    "write_settings",
]
