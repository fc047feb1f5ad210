"""A room's thresholds as the text of a settings file, with what they are worth beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from streamsed.calibration.calibration import Calibration, table_rows
from streamsed.terminal import printable


def settings_lines(
    calibration: Calibration,
    *,
    heading: Sequence[str],
    settings: Mapping[str, str | float],
    ignored: Sequence[str],
) -> Iterator[str]:
    """Write a file that `--settings` reads.

    Parameters
    ----------
    calibration : Calibration
        What was learnt.
    heading : sequence of str
        What was listened to with which model, as comments.
    settings : mapping
        Options that the counts depend on, and their values.
    ignored : sequence of str
        Labels that were ignored while listening, and stay so.

    Yields
    ------
    str
        Lines with their ends.
    """
    for line in (*heading, *calibration.sentences()):
        yield f"# {printable(line)}\n"
    yield "\n"
    for name, value in settings.items():
        yield f"{name} = {_toml(value)}\n"
    off = [*ignored, *(each.label for each in calibration.off)]
    if off:
        yield f"ignore = [{', '.join(map(_toml, off))}]\n"
    yield "\n# events an hour in this room, and the share of a label's events that is found\n"
    yield "[threshold]\n"
    rows = table_rows(calibration.labels)
    for each, (_, _, events, recall) in zip(calibration.labels, rows, strict=True):
        if each.threshold is not None:
            key, costs = _toml(each.label), f"{events} an hour; found: {recall}"
            yield f"{key} = {each.threshold!r}  # {costs}\n"


def _toml(value: str | float) -> str:
    """Write a value; JSON's text is TOML's but for the one character that only TOML forbids."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
