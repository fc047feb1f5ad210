"""What is changed to see whether the tests notice, as mutants.toml lists it.

A changed comparison is an accident; a misreading is one way in which the report's system
can be missed. Each of these went unnoticed by tests that compared the network with itself.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.mutate import Mutant, cpp_mutants, python_mutants

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Target:
    """A source file and the tests that must notice a change of it, `without` the slow ones."""

    path: str
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """What Python calls it; the C++ core is one module."""
        if self.path.endswith(".cpp"):
            return "streamsed._core"
        return self.path.removesuffix(".py").replace("/", ".")

    def mutants(self) -> list[Mutant]:
        """List every mutant, by line."""
        source = (ROOT / self.path).read_text(encoding="utf-8")
        make = cpp_mutants if self.path.endswith(".cpp") else python_mutants
        return sorted(make(source), key=lambda mutant: (mutant.line, mutant.change))


@dataclass(frozen=True, slots=True)
class Misreading:
    """A text of a file and what it is replaced with, and the tests that must notice."""

    path: str
    test: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the source with the replacement made, everywhere it can be.

        Raises
        ------
        ValueError
            The text does not occur any more.
        """
        if self.old not in source:
            raise ValueError(
                f"{self.path} must hold {self.old!r}, which was to be changed"
            )
        return source.replace(self.old, self.new)


_LISTED = tomllib.loads((ROOT / "scripts" / "mutants.toml").read_text(encoding="utf-8"))

TARGETS = {
    name: Target(each["path"], tuple(each["tests"]), tuple(each.get("without", ())))
    for name, each in _LISTED["target"].items()
}
MISREADINGS = {
    each["name"]: Misreading(each["path"], each["test"], each["old"], each["new"])
    for each in _LISTED["misreading"]
}
