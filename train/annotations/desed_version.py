"""Check whether a data set is DESED 2019, or only has the same layout.

A figure compares with the report's only if it was measured on the same clips by a network
that was trained on the same. Lists are known by their content, whatever their file is
called; clips are counted, as those of YouTube disappear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamsed.events import Event
from train.annotations.event_lists import digest

KNOWN_LISTS = {
    "7040d141696a72f2": "DESED validation 2019 as in the DCASE 2019 repository (4251 rows)",
    "165aa8de4da639f4": "DESED validation 2019 as in the DESED repository (4239 rows, "
    "overlaps joined)",
    "569c56f011e23ed5": "DESED synthetic 2019 (6032 rows)",
    "5031a65f029709ac": "DESED public evaluation (2765 rows)",
    "b41fdb1dbd99afc7": "DESED weak 2019 (1578 clips)",
    "7b150e56d12b3a6c": "DESED unlabelled 2019 (14412 clips)",
}
"""Lists by the `digest` of their content."""

N_CLIPS_2019 = {
    "weak": 1578,
    "unlabel_in_domain": 14412,
    "synthetic": 2045,
    "validation": 1168,
    "public": 692,
}
"""How many clips the lists of 2019 name."""


def name_list(
    clips: Mapping[str, Sequence[Event] | Sequence[str] | None],
) -> str | None:
    """Return which known list this is by its content, whatever its name; None if none."""
    return KNOWN_LISTS.get(digest(clips))


@dataclass(frozen=True, slots=True)
class UsedSubset:
    """The part of a subset that was used for training or evaluation.

    Parameters
    ----------
    name : str
        As in `train.annotations.desed_layout.LAYOUT`.
    version : str or None
        Which known list it is.
    n_listed, n_used : int
        Clips of the list, and those of them that were there and could be read.
    """

    name: str
    version: str | None
    n_listed: int
    n_used: int

    @property
    def is_listed_as_2019(self) -> bool:
        """Whether list and number of clips are those of DESED 2019."""
        return self.version is not None and self.n_listed == N_CLIPS_2019[self.name]


def describe_data(used: Sequence[UsedSubset], *, lacking: Sequence[str] = ()) -> str:
    """Say what figures were measured on, and warn where they do not compare.

    Parameters
    ----------
    used : sequence of UsedSubset
        Every subset that was trained or measured on.
    lacking : sequence of str
        Subsets that should have been trained on and were left out.

    Examples
    --------
    >>> print(describe_data([UsedSubset("weak", None, 100, 12)]))
    Laid out like DESED: 12 of 100 clips (weak 12 of 100). The list of weak is not that of DESED 2019. **Warning: these figures do not compare with the report's.**
    """
    n_used, n_listed = sum(s.n_used for s in used), sum(s.n_listed for s in used)
    others = [s.name for s in used if not s.is_listed_as_2019]
    if not others and not lacking and n_used == n_listed:
        return f"Trained and measured on DESED 2019, all {n_listed} clips of its lists."
    parts = ", ".join(f"{s.name} {s.n_used} of {s.n_listed}" for s in used)
    start = "Laid out like DESED" if others else "Part of DESED 2019"
    sentences = [f"{start}: {n_used} of {n_listed} clips ({parts})."]
    if lacking:
        sentences.append(f"Trained without the {enumerated(lacking)} clips.")
    if others:
        lists = "lists" if others[1:] else "list"
        verb = "are not those" if others[1:] else "is not that"
        sentences.append(f"The {lists} of {enumerated(others)} {verb} of DESED 2019.")
    sentences.append("**Warning: these figures do not compare with the report's.**")
    return " ".join(sentences)


def lack_note(lacking: Sequence[str]) -> str:
    """Return what is added to the name of a row whose training lacked some subsets.

    Examples
    --------
    >>> f"baseline{lack_note(['weak'])}", f"baseline{lack_note([])}"
    ('baseline [trained without weak clips]', 'baseline')
    """
    return f" [trained without {enumerated(lacking)} clips]" if lacking else ""


def enumerated(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    Examples
    --------
    >>> enumerated(["weak"]), enumerated(["weak", "synthetic", "public"])
    ('weak', 'weak, synthetic and public')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
