"""The page that goes through the report names code and tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "report.md"


def rows():
    """Return (statement, code, tests) of every row of every table."""
    lines = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.endswith("| code | test |")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def test_names():
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(
            r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE
        )
    }


def test_every_statement_has_code_that_is_there_and_a_test_that_is_there(test_names):
    assert len(rows()) > 45
    for statement, code, tests in rows():
        assert quoted(code), statement
        assert [path for path in quoted(code) if not (ROOT / path).is_file()] == []
        assert quoted(tests), statement
        assert [name for name in quoted(tests) if name not in test_names] == []


def test_tests_that_stand_between_the_tables_are_there_too(test_names):
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert named - test_names == set()


def test_every_section_of_the_report_that_says_how_is_gone_through():
    headings = re.findall(
        r"^## .*\((.*)\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings == ["2.1", "2.2", "2.3 to 2.5", "2.6", "3, 4", "table 1, first row"]
    equations = set(re.findall(r"eqs?\. ([\d, ]+)", PAGE.read_text(encoding="utf-8")))
    numbers = {int(n) for each in equations for n in re.findall(r"\d", each)}
    assert numbers == set(range(1, 9))
