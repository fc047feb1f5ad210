"""Mutants: one change each, of code alone, and misreadings that can still be made."""

import ast
from pathlib import Path

import pytest

from scripts import mutant_targets, mutants
from scripts.mutant_targets import MISREADINGS
from scripts.mutate import cpp_mutants, python_mutants

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


def test_where_a_result_is_stored_is_not_changed():
    source = "layer = ReLU(inplace=True, strict=True)\n"
    assert [m.change for m in python_mutants(source)] == ["True -> False"]
    assert next(python_mutants(source)).source == (
        "layer = ReLU(inplace=True, strict=(False))\n"
    )


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
    if misreading.path.endswith(".py"):
        ast.parse(changed)
    path, _, function = misreading.test.partition("::")
    assert f"def {function}" in (ROOT / path).read_text()


def test_a_run_that_was_ended_continues_where_it_was(tmp_path, monkeypatch, capsys):
    for module in (mutants, mutant_targets):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "area.py").write_text("AREA = 2 * 3 + 2 * 3\n")
    target = mutants.Target("area.py", ("test_area.py",))
    drawn = [(target, mutant) for mutant in target.mutants()]
    assert len(drawn) > len({(mutant.line, mutant.change) for _, mutant in drawn})
    tried = []

    def is_noticed(_, mutant, **_limits):
        if mutant is None:
            return False, 1.0  # the tests pass as long as nothing is changed
        if len(tried) == 4:
            raise KeyboardInterrupt
        tried.append(mutant.source)
        return "+" in mutant.source, 1.0

    monkeypatch.setattr(mutants, "is_noticed", is_noticed)
    out = tmp_path / "mutants.jsonl"
    with pytest.raises(KeyboardInterrupt):
        mutants.try_all(mutants.Results(out), "area", drawn)
    first, tried[:] = list(tried), []
    mutants.try_all(mutants.Results(out), "area", drawn[:6])
    assert len(first) == 4
    assert sorted([*first, *tried]) == sorted(m.source for _, m in drawn[:6])
    unnoticed = [source for source in [*first, *tried] if "+" not in source]
    assert unnoticed
    tried.clear()
    mutants.try_all(mutants.Results(out, again=True), "area", drawn[:6])
    assert sorted(tried) == sorted(unnoticed)
    (tmp_path / "area.py").write_text("AREA = 2 * 3 + 2 * 3  # of two\n")
    tried.clear()
    mutants.try_all(mutants.Results(out), "area", drawn[:3])
    assert len(tried) == 3  # the source is another
    assert "area.py:1: " in capsys.readouterr().out


LOOPING = "N = 1\nwhile N < 1:\n    pass\n"


@pytest.fixture
def looping(tmp_path, monkeypatch):
    """Write a module that loops if it is changed; give a target whose tests are given."""
    for module in (mutants, mutant_targets):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "looping.py").write_text(LOOPING)

    def target(tests, without=()):
        (tmp_path / "test_looping.py").write_text(tests)
        return mutants.Target("looping.py", ("test_looping.py",), without)

    return target


def test_a_mutant_that_loops_for_ever_is_noticed_by_the_time_it_takes(looping):
    target = looping("def test_it():\n    import looping\n")
    noticed, used = mutants.is_noticed(target, None)
    assert not noticed
    endless = next(m for m in target.mutants() if "<=" in m.change)
    noticed, in_vain = mutants.is_noticed(target, endless, cpu=used + 1)
    assert noticed
    assert in_vain > used


def test_what_a_target_goes_without_is_not_run(looping):
    tests = "def test_a():\n    0 / 0\ndef test_b():\n    pass\n"
    assert mutants.is_noticed(looping(tests), None)[0]
    without = ("test_looping.py::test_a",)
    assert not mutants.is_noticed(looping(tests, without), None)[0]
