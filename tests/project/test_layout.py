"""The code's layout: small folders, short functions, one thing for each name."""

import ast
import functools
from collections import defaultdict
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("streamsed", "train")
MAX_FILES = 12
MAX_LINES = 300
MAX_BODY = 50


@functools.cache
def trees(package):
    found = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    assert len(found) > 60
    return found


def body_length(function):
    """Lines of a function without its signature and its docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return function.end_lineno - body[0].lineno + 1 if body else 0


def type_names(tree):
    """The classes and aliases that a module defines, by their CamelCase."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                name = target.id if isinstance(target, ast.Name) else ""
                if name[:1].isupper() and not name.isupper():
                    yield name


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_holds_more_than_a_dozen_files_beside_its_init(package):
    files = defaultdict(list)
    for path in trees(package):
        if path.name != "__init__.py":
            files[path.parent].append(path.name)
    assert {str(f): len(n) for f, n in files.items() if len(n) > MAX_FILES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_three_hundred_lines(package):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in trees(package)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_of_a_class_stands_for_two_things(package):
    homes = defaultdict(list)
    for path, tree in trees(package).items():
        for name in type_names(tree):
            homes[name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_longer_than_a_screen(package):
    functions = chain.from_iterable(
        ((path.name, node) for node in ast.walk(tree))
        for path, tree in trees(package).items()
    )
    lengths = {
        f"{file}: {node.name}": body_length(node)
        for file, node in functions
        if isinstance(node, ast.FunctionDef)
    }
    assert len(lengths) > 200
    assert {name: n for name, n in lengths.items() if n > MAX_BODY} == {}
