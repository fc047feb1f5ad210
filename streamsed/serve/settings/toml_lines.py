r"""Line numbers of the keys of a TOML file, which `tomllib` does not return.

The text is valid TOML. It is read statement by statement: headers in brackets, and keys
with their values, including strings and brackets over several lines.

    >>> text = 'step = 1\n[[source]]\nname = "a"\n[[source]]\nurl = [\n"x"]\n'
    >>> for path, line in key_lines(text).items():
    ...     print(line, path)
    1 ('step',)
    2 ('source', 0)
    3 ('source', 0, 'name')
    4 ('source', 1)
    5 ('source', 1, 'url')

Keys of inline tables are not included: use the line of their table.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter

KeyPath = tuple[str | int, ...]
"""Keys from the top, with the position (from 0) after that of an array of tables."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = re.compile(rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_VALUE = re.compile(
    r"""(?P<string>\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
    r"""|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comment>\#[^\n]*)|(?P<end>\n)|[^\[\]{}"'\#\n]+""",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, of every table and key of a TOML text."""
    lines: dict[KeyPath, int] = {}
    arrays: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    at = _skip(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        n_brackets = 2 if text.startswith("[[", at) else int(text[at] == "[")
        start = _blanks(text, at + n_brackets)
        key = _DOTTED.match(text, start)
        if key is None:  # does not happen in valid TOML
            break
        names = _names(key[0])
        if n_brackets:
            table = _resolve(names, arrays)
            if n_brackets == 2:
                arrays[table] += 1
                table = (*table, arrays[table] - 1)
            lines.setdefault(table, line)
        else:
            lines.setdefault((*table, *names), line)
        at = _skip(text, _end_of_statement(text, key.end()))
    return lines


def _names(dotted: str) -> KeyPath:
    """Return the keys of `a."b c".d`, parsed by tomllib."""
    value = tomllib.loads(f"{dotted} = 0")
    names = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(name)
    return tuple(names)


def _resolve(names: KeyPath, arrays: Counter[KeyPath]) -> KeyPath:
    """Insert the index of the newest table after each array of tables."""
    path: KeyPath = ()
    for name in names[:-1]:
        path = (*path, name)
        if arrays[path]:
            path = (*path, arrays[path] - 1)
    return (*path, names[-1])


def _end_of_statement(text: str, at: int) -> int:
    """Return the end of the line on which a header or value ends."""
    depth = 0
    while at < len(text):
        token = _VALUE.match(text, at)
        if token is None:
            return len(text)
        at = token.end()
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        if token.lastgroup == "end" and depth <= 0:
            return at
    return at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at
