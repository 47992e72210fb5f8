"""Layers are what the imports say they are, and data never becomes code: read from the source, nothing is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from source import MODULES, imports, reachable, top, tree

CONTAINER = "container.deflate", "container.header"
CONTAINER_MAY_KNOW = {
    f"aezip.{name}" for name in ("core.atomic", "core.errors", "core.remote", "core.sources", "entropy.frames", *CONTAINER)
}
READERS = ["aezip", "aezip.cli", "aezip.archive.reading", "aezip.codec.encoder", "aezip.codec.decoder", "aezip.cli.formats"]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy", "code", "pty"}
FORBIDDEN_MODULES |= {"socket", "urllib", "http", "ftplib", "requests", "subprocess", "ctypes"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_decodes_reaches_torch_when_imported(name: str) -> None:
    assert not [other for other in reachable(name) if "torch" in top(imports(MODULES[other]))]


def test_the_codec_and_what_it_stands_on_never_see_hdf5() -> None:
    for name in reachable("aezip.codec.encoder") | reachable("aezip.codec.decoder"):
        assert "h5py" not in top(imports(MODULES[name])), name


def test_the_container_never_sees_arithmetic() -> None:
    files = (imports(MODULES[f"aezip.container.{name}"]) for name in ("reader", "writer"))
    known = {name for name in set().union(*files) if name in MODULES and MODULES[name].name != "__init__.py"}
    assert known <= CONTAINER_MAY_KNOW


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_pickle_no_network_no_foreign_code(name: str) -> None:
    # this interpreter and this package; what was built with it; nothing else
    allowed = {"aezip.tools.sandbox": {"subprocess"}, "aezip.core.native": {"ctypes"}}.get(name, set())
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
            assert words.get("allow_pickle") == "False" or name == "aezip.cli.demo"


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
    for name in reachable("aezip.archive.reading"):
        assert top(imports(MODULES[name], at_import_only=True)) <= allowed, name


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom aezip import cli\nassert cli.run(['--help']) == 0\n"
        "heavy = {'torch', 'rich', 'h5py', 'numpy', 'zstandard'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
