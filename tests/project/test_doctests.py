"""The examples in the docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest
from modules import modules_of

import streamsed
import train

RUNTIME, TRAINING = modules_of(streamsed), modules_of(train)


@pytest.mark.parametrize("name", [*RUNTIME, *TRAINING])
def test_examples_are_true(name, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])  # they name files of the project
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    ("names", "n_modules", "n_examples"), [(RUNTIME, 40, 6), (TRAINING, 60, 10)]
)
def test_there_are_examples(names, n_modules, n_examples):
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        test
        for name in names
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert len(names) >= n_modules
    assert len(examples) >= n_examples
