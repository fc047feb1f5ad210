"""Match labels as typed: regardless of case, with a suggestion for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

SHOWN = 60
"""Characters of a name that an error message repeats at most."""


def match_label(name: str, labels: Sequence[str], *, option: str) -> str:
    """Return the label that matches a name.

    Parameters
    ----------
    name : str
        The label as typed.
    labels : sequence of str
        The model's labels.
    option : str
        Option that it was given to, for the error message.

    Raises
    ------
    ValueError
        There is no such label; the message suggests the closest one.

    Examples
    --------
    >>> match_label("dog", ["Cat", "Dog"], option="--label")
    'Dog'
    >>> match_label("Dgo", ["Cat", "Dog"], option="--label")
    Traceback (most recent call last):
    ...
    ValueError: --label: unknown label 'Dgo'; did you mean 'Dog'? Labels: Cat, Dog
    """
    if name in labels:
        return name
    folded = {label.casefold(): label for label in labels}
    if name.casefold() in folded:
        return folded[name.casefold()]
    near = difflib.get_close_matches(name.casefold()[:SHOWN], folded, n=1)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    shown = name if len(name) <= SHOWN else name[:SHOWN] + "…"
    raise ValueError(
        f"{option}: unknown label {shown!r}; {hint}Labels: {', '.join(labels)}"
    )
