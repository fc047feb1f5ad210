"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import streamsed

MODULES = [
    name
    for _, name, _ in pkgutil.iter_modules(streamsed.__path__)
    if name != "__main__"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    module = importlib.import_module(f"streamsed.{name}")
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        test
        for name in ("config", "events", "frontend", "stitcher", "writers")
        for test in finder.find(importlib.import_module(f"streamsed.{name}"))
        if test.examples
    ]
    assert len(examples) > 5
