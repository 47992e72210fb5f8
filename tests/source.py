"""What the modules of the package import, read from their source; nothing is run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import aezip

PACKAGE = Path(aezip.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _names(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        stem = parts[: len(parts) - node.level + 1]
        base = ".".join([*stem, base] if base else stem)
    full = [f"{base}.{alias.name}" for alias in node.names]
    return [*full, *([base] if any(name not in MODULES for name in full) else [])]


@cache
def imports(path: Path, *, at_import_only: bool = False, types: bool = False) -> frozenset[str]:
    """Return what a module imports: lazy imports if `at_import_only` is false, those for types alone if `types`."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not types:
                continue
            if at_import_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.Import | ast.ImportFrom):
                found.update(_names(child, package))
            walk(child)

    walk(tree(path))
    return frozenset(found)


def top(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def reachable(start: str) -> set[str]:
    """Return the modules of the package that importing one of them imports, those of packages above included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0], *(imports(MODULES[name], at_import_only=True) & set(MODULES))]
    return seen
