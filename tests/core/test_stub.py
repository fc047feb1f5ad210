"""The stub of the core says what the extension has: every name, parameter and default."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from streamsed import _core

STUB = Path(__file__).parents[2] / "streamsed" / "_core.pyi"


def functions_of(body, owner=_core, prefix=""):
    """Yield (name, stub's function, extension's) of all that can be called."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from functions_of(
                node.body, getattr(owner, node.name), f"{node.name}."
            )
        elif isinstance(node, ast.FunctionDef):
            decorators = [d.id for d in node.decorator_list if isinstance(d, ast.Name)]
            if "property" not in decorators:
                yield prefix + node.name, node, getattr(owner, node.name)


FUNCTIONS = list(functions_of(ast.parse(STUB.read_text(encoding="utf-8")).body))


def parameters_of(stub):
    """Name, kind and default of each parameter in the stub."""
    arguments = stub.args
    positional = [*arguments.posonlyargs, *arguments.args]
    padding = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*padding, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return [
        (each.arg, each in arguments.kwonlyargs, default and ast.literal_eval(default))
        for each, default in pairs
        if each.arg != "self"
    ]


def parameters_in(docstring):
    """The same, as pybind11 writes the signature into a docstring's first line."""
    line = docstring.splitlines()[0].split(" -> ")[0]
    tree = ast.parse(f"def {line}: ...", mode="exec")
    return parameters_of(tree.body[0])


def test_there_are_functions_to_check():
    assert len(FUNCTIONS) >= 12


@pytest.mark.parametrize(
    ("name", "stub", "real"), FUNCTIONS, ids=[name for name, _, _ in FUNCTIONS]
)
def test_a_function_of_the_stub_has_the_extensions_parameters(name, stub, real):
    assert parameters_of(stub) == parameters_in(inspect.getdoc(real))


# What surrounds the core's stub need not be analysed: a fifth of the time.
SETTINGS = """\
[mypy]
[mypy-numpy.*,streamsed.audio.*,streamsed.config.*,streamsed.detector,streamsed.events]
follow_imports = skip
[mypy-streamsed.inference.*,streamsed.pipeline.*]
follow_imports = skip
"""


@pytest.mark.slow
def test_stubtest_finds_every_name_on_both_sides(tmp_path):
    settings = tmp_path / "mypy.ini"
    settings.write_text(SETTINGS)
    allowed = tmp_path / "allowed"  # pybind11's classes have a metaclass of their own
    allowed.write_text("streamsed\\._core\\.(LogMel|GapFilter)\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "streamsed._core"),
            *("--allowlist", str(allowed), "--mypy-config-file", str(settings)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
