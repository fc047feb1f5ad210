"""Mutants: one change each, of code alone, and misreadings that can still be made."""

import ast
from pathlib import Path

import pytest

from scripts.mutate import cpp_mutants, python_mutants
from scripts.named_mutants import MISREADINGS

ROOT = Path(__file__).parents[2]
MODULE = '''"""A docstring with 1 and max."""


def area(width: int, height: int = 2) -> int:
    """Multiply 3 and 4."""
    if width < 0:
        raise ValueError(f"width={width + 1} must be at least {0}")
    return max(width * height, 0)
'''


def test_a_mutant_changes_one_place_of_what_is_computed():
    mutants = list(python_mutants(MODULE))
    assert {mutant.change for mutant in mutants} == {
        "2 -> 3",
        "width < 0 -> width <= 0",
        "0 -> 1",
        "max(width * height, 0) -> min(width * height, 0)",
        "width * height -> width / height",
    }
    for mutant in mutants:
        ast.parse(mutant.source)
        lines = zip(MODULE.split("\n"), mutant.source.split("\n"), strict=True)
        changed = [n for n, (old, new) in enumerate(lines, 1) if old != new]
        assert changed == [mutant.line]


def test_a_mutant_of_the_core_changes_one_token_and_no_comment():
    source = "// a + b\nint a = b + 1;  // c + d\n  throw 1 + 1;\n"
    changes = [mutant.change for mutant in cpp_mutants(source)]
    assert changes == [
        "int a = b + 1;  // c + d -> int a = b - 1;  // c + d",
        "int a = b + 1;  // c + d -> int a = b + 2;  // c + d",
    ]


@pytest.mark.parametrize("name", MISREADINGS)
def test_every_misreading_can_be_made_and_has_a_test_to_notice_it(name):
    misreading = MISREADINGS[name]
    source = (ROOT / misreading.path).read_text()
    changed = misreading.apply(source)
    assert changed != source
    ast.parse(changed)
    path, _, function = misreading.test.partition("::")
    assert f"def {function}" in (ROOT / path).read_text()
