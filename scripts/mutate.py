"""Small changes of source text that a test should notice: mutants of Python and C++.

Each mutant differs from its source in one place. In Python the places are those of the
syntax tree, so that docstrings, annotations and messages stay as they are; in C++ they are
tokens of the lines that compute.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {
    "amax": "mean",
    "mean": "amax",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "ceil": "floor",
    "floor": "ceil",
    "argmax": "argmin",
}
"""Functions and methods that are called in each other's place."""
TRANSPARENT = frozenset(
    {"sigmoid", "tanh", "softmax", "relu", "ReLU", "Sigmoid", "sorted"}
)
"""Functions of which one argument is taken as it is."""

CPP_TOKENS = {
    ">=": ">",
    "<=": "<",
    " < ": " <= ",
    "==": "!=",
    "!=": "==",
    " + ": " - ",
    " - ": " + ",
    "+=": "-=",
    " 1": " 2",
    " 0": " 1",
    "++": "--",
    "true": "false",
    "false": "true",
    "continue;": ";",
    "else if": "if",
}
CPP_SKIPPED = re.compile(r"^\s*(#|//|fail\(|throw|\"|std::to_string|namespace|})")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one change: its line, a description, and the new text."""

    line: int
    change: str
    source: str


def python_mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a Python module, from its top to its end."""
    tree = ast.parse(source)
    skipped = _skipped(tree)
    for node in ast.walk(tree):
        if id(node) in skipped or not hasattr(node, "lineno"):
            continue
        for replacement in _replacements(node):
            before, after = ast.unparse(node), ast.unparse(replacement)
            text = _replace(source, node, after)
            if text is not None:
                yield Mutant(node.lineno, f"{before} -> {after}", text)


def cpp_mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a C++ source: one token of one line that computes."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        code = line.split("//")[0]
        if CPP_SKIPPED.match(code):
            continue
        for token, other in CPP_TOKENS.items():
            for match in re.finditer(re.escape(token), code):
                changed = line[: match.start()] + other + line[match.end() :]
                text = "\n".join([*lines[:number], changed, *lines[number + 1 :]])
                yield Mutant(number + 1, f"{line.strip()} -> {changed.strip()}", text)


def _skipped(tree: ast.AST) -> set[int]:
    """Find nodes that are not mutated: annotations, decorators, errors and `inplace`.

    The last says where a result is stored, not what it is.
    """
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            roots.append(node)
        elif isinstance(node, ast.AnnAssign | ast.arg):
            roots.append(node.annotation)
        elif isinstance(node, ast.keyword) and node.arg == "inplace":
            roots.append(node.value)
        elif isinstance(node, ast.FunctionDef):
            roots += [node.returns, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            roots += node.decorator_list
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            "deprecated"
        ):
            roots.append(node)
    return {id(node) for root in roots if root for node in ast.walk(root)}


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield possible replacements of a node."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = COMPARISONS.get(type(node.ops[0]))
        if other:
            yield ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        flipped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(flipped, node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, float):
        yield ast.Constant(node.value * 1.5 + 0.1)


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    func = node.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    if name in NAMES:
        other: ast.expr = ast.Name(NAMES[name])
        if isinstance(func, ast.Attribute):
            other = ast.Attribute(func.value, NAMES[name])
        yield ast.Call(other, node.args, node.keywords)
    if name in TRANSPARENT and len(node.args) == 1:
        yield node.args[0]
    if name == "detach" and isinstance(func, ast.Attribute):
        yield func.value


def _replace(source: str, node: ast.AST, text: str) -> str | None:
    """Put text in the place of a node; None where that is no program any more."""
    assert isinstance(node, ast.expr | ast.stmt)
    lines = source.encode().split(b"\n")
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    head = b"\n".join([*lines[:first], lines[first][: node.col_offset]])
    tail = b"\n".join([lines[last][node.end_col_offset :], *lines[last + 1 :]])
    inner = text if isinstance(node, ast.stmt) else f"({text})"
    changed = (head + inner.encode() + tail).decode()
    try:
        ast.parse(changed)
    except SyntaxError:
        return None
    return changed
