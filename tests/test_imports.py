"""Layers are what the imports say they are, and data never becomes code: read from the source, nothing is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aezip

PACKAGE = Path(aezip.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TORCH_ALLOWED = {"aezip.autoencoder", "aezip.training", "aezip.refining", "aezip.pretraining", "aezip.resuming"}
TORCH_ALLOWED |= {"aezip.raters", "aezip.posterior", "aezip.adam", "aezip.chance"}
CONTAINER_MAY_KNOW = {"aezip.atomic", "aezip.errors", "aezip.frames", "aezip.header"}
COMMAND_LINE = {"aezip.cli", "aezip.arguments", "aezip.modelcommand", "aezip.render", "aezip.demo", "aezip.__main__"}
COMMAND_LINE |= {"aezip.asking", "aezip.terminal", "aezip.benchcommand", "aezip.reportcommand", "aezip.page"}
COMMAND_LINE |= {"aezip.decompresscommand"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy", "code", "pty"}
FORBIDDEN_MODULES |= {"socket", "urllib", "http", "ftplib", "requests", "subprocess", "ctypes"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def imports(path: Path, *, at_import_only: bool = False) -> set[str]:
    """Return what a module imports; type-only imports do not count, lazy ones only if `at_import_only` is false."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if at_import_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.Import | ast.ImportFrom):
                found.update(_names(child, package))
            walk(child)

    walk(tree(path))
    return found


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


MODULES = {module_name(path): path for path in SOURCES}


def reachable(start: str) -> set[str]:
    """Return the modules of the package that importing one of them imports."""
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [other for other in imports(MODULES[name], at_import_only=True) if other in MODULES]
    return seen


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_the_autoencoder_and_its_training_import_torch(name: str) -> None:
    assert ("torch" in top(imports(MODULES[name]))) == (name in TORCH_ALLOWED)


@pytest.mark.parametrize("name", ["aezip", "aezip.cli", "aezip.archive", "aezip.codec", "aezip.decoder", "aezip.formats"])
def test_nothing_that_decodes_reaches_torch_when_imported(name: str) -> None:
    assert not reachable(name) & TORCH_ALLOWED


def test_the_codec_and_what_it_stands_on_never_see_hdf5() -> None:
    for name in reachable("aezip.codec") | reachable("aezip.decoder"):
        assert "h5py" not in top(imports(MODULES[name])), name


def test_the_container_never_sees_arithmetic() -> None:
    files = (imports(MODULES[f"aezip.{name}"]) for name in ("container", "writer"))
    known = {name for name in set().union(*files) if name in MODULES} - {"aezip"}
    assert known <= CONTAINER_MAY_KNOW


@pytest.mark.parametrize("name", sorted(set(MODULES) - COMMAND_LINE))
def test_only_the_command_line_knows_terminals(name: str) -> None:
    found = imports(MODULES[name])
    assert not top(found) & {"click", "rich"}
    assert not found & COMMAND_LINE


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {n: {m for m in imports(p, at_import_only=True) if m in MODULES} - {n, "aezip"} for n, p in MODULES.items()}
    while True:
        leaves = {name for name, used in edges.items() if not used & set(edges)}
        if not leaves:
            break
        edges = {name: used for name, used in edges.items() if name not in leaves}
    assert not edges, f"a circle among {sorted(edges)}"


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_pickle_no_network_no_foreign_code(name: str) -> None:
    allowed = {"subprocess"} if name == "aezip.sandbox" else set()  # this interpreter and this package, nothing else
    assert not top(imports(MODULES[name])) & FORBIDDEN_MODULES - allowed


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_eval_and_no_unsafe_loading(name: str) -> None:
    for call in _calls(MODULES[name]):
        text = ast.unparse(call.func)
        assert text not in FORBIDDEN_CALLS
        assert text not in {"torch.load", "torch.compile", "torch.jit.load", "np.fromstring"}
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert words.get("allow_pickle", "False") == "False"
        if text in {"np.load", "np.save"}:
            assert words.get("allow_pickle") == "False" or name == "aezip.demo"


def test_import_by_name_knows_only_its_own_literal_table() -> None:
    users = {name for name, path in MODULES.items() if "importlib" in imports(path)}
    assert users <= {"aezip"}
    for node in ast.walk(tree(MODULES["aezip"])):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_PLACES":
            table = ast.literal_eval(node.value)
            assert {f"aezip.{place}" for place in table} <= set(MODULES)
            break
    else:
        raise AssertionError("the table of public names is gone")


def test_decoding_needs_only_numpy_h5py_and_zstandard() -> None:
    allowed = {"numpy", "h5py", "zstandard", "aezip", "__future__"} | set(sys.stdlib_module_names)
    for name in reachable("aezip.archive"):
        assert top(imports(MODULES[name], at_import_only=True)) <= allowed, name


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom aezip import cli\nassert cli.run(['--help']) == 0\n"
        "heavy = {'torch', 'rich', 'h5py', 'numpy', 'zstandard'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
