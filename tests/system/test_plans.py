"""Who asks what a plan is: nobody outside its own package; the interface answers. Read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from source import MODULES, tree

from aezip.plans.registry import PLANS

CLASSES = {plan.__name__ for plan in PLANS} | {"Plan", "WholePlan", "Networks", "ContextNetworks", "ContextNet", "Signal"}
ASKED = {"isinstance", "issubclass", "type"}


def questions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what tells plans or their networks apart by class or by kind."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in ASKED:
            words = {n.id for n in ast.walk(child) if isinstance(n, ast.Name)} | {
                n.attr for n in ast.walk(child) if isinstance(n, ast.Attribute)
            }
            if words & CLASSES or (child.func.id == "type" and "plan" in words):
                yield child
        elif isinstance(child, ast.Compare):
            words = {ast.unparse(part) for part in (child.left, *child.comparators)}
            if any(word.endswith(("plan.kind", "plan['kind']")) for word in words):
                yield child


@pytest.mark.parametrize("name", [n for n in sorted(MODULES) if not n.startswith("aezip.plans.")])
def test_nobody_asks_which_plan_it_is(name: str) -> None:
    assert not [f"{name}:{found.lineno}" for found in questions(tree(MODULES[name]))]  # type: ignore[attr-defined]


def test_the_test_sees_what_it_looks_for() -> None:
    asked = ("isinstance(x, AutoencoderPlan)", "assert isinstance(a.plan, b.ContextPlan)", "type(c.plan)", "a.plan.kind == 'x'")
    assert all(len(list(questions(ast.parse(text)))) == 1 for text in asked)
    assert not list(questions(ast.parse("isinstance(x, LinearGrid); type(x); a.kind == 'b'")))


def test_no_kind_has_two_classes() -> None:
    kinds = [kind for plan in PLANS for kind in plan.kinds]
    assert len(kinds) == len(set(kinds))
