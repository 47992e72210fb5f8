"""The documents name tests that exist, and every promise has one."""

from __future__ import annotations

import ast
import re

from helpers import ROOT, TESTS

TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


def known(module: str) -> dict[str, bool]:
    """Return the tests of a module, and whether they are long."""
    path = next(TESTS.rglob(f"{module}.py"), None)
    if path is None:
        return {}
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {f.name: any("mark.long" in ast.unparse(d) for d in f.decorator_list) for f in functions}


def test_every_test_that_is_named_exists_and_is_long_where_it_says_so() -> None:
    named = re.findall(r"`(test_[a-z0-9_]+)\.(test_[a-z0-9_]+)`( \(long\))?", TEXT)
    assert len(named) > 80
    for module, name, long in named:
        found = known(module)
        assert name in found, f"{module}.{name}"
        assert found[name] == bool(long), f"{module}.{name}"


def test_every_promise_has_a_line() -> None:
    assert re.findall(r"^\| (G[0-9]+) \|", TEXT, re.M) == [f"G{i}" for i in range(1, 30)]


def test_what_is_not_promised_is_said() -> None:
    for path in ("SECURITY.md", "docs/limits.md"):
        assert "not promised" in (ROOT / path).read_text(encoding="utf-8")
