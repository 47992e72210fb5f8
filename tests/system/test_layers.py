"""The packages form layers: each imports only what stands to its left; see `tests/source.py`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import GOLDEN
from source import MODULES, imports, tree

# from left to right; what stands in one line may import each other, without a circle
LAYERS = (
    ("core",),
    ("array",),
    ("entropy",),
    ("quantize",),
    ("container",),
    ("plans.base", "plans.integer"),
    ("plans.bytes", "plans.delta"),
    ("plans.buckets",),
    ("plans.autoencoder",),
    ("plans.columns",),
    ("plans.context",),
    ("plans.trained", "plans.registry", "plans.words"),
    ("search",),
    ("codec",),
    ("apps",),
    ("archive",),
    ("files",),
    ("tools",),
    ("integrations",),
    ("cli",),
)
PLACE = {f"aezip.{name}": place for place, names in enumerate(LAYERS) for name in names}
OUTSIDE = {"aezip", "aezip.__main__", "aezip.plans"}
MOST_LOADED = 60  # modules
FULL = {"aezip", "aezip.cli", "aezip.cli.formats"}  # whose `__init__` holds more than a line on what is in the package


def package(name: str) -> str:
    """Return the longest name in the list that a module is below, or ""."""
    parts = name.split(".")
    found = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in found if name in PLACE), "")


def used(name: str, *, at_import_only: bool = False, types: bool = True) -> set[str]:
    """Return the modules of the package that a module imports."""
    found = imports(MODULES[name], at_import_only=at_import_only, types=types) & set(MODULES)
    return {other for other in found if MODULES[other].name != "__init__.py" or other in FULL} - {name}


def trains(name: str) -> bool:
    return ".training." in name


def breaches() -> set[tuple[str, str]]:
    """Return what imports to the right, or training where nobody trains."""
    wrong = set()
    for name in MODULES:
        if name in OUTSIDE:
            continue
        here = PLACE[package(name)]
        wrong |= {(name, other) for other in used(name) if other != "aezip" and PLACE[package(other)] > here}
        if not trains(name):
            wrong |= {(name, other) for other in used(name, at_import_only=True, types=False) if trains(other)}
    return wrong


def test_every_module_has_its_place() -> None:
    assert {name for name in MODULES if not package(name)} == OUTSIDE


def test_packages_import_to_the_left_only() -> None:
    assert not breaches()


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = {name: used(name, at_import_only=True, types=False) - {"aezip"} for name in MODULES}
    while True:
        leaves = {name for name, others in edges.items() if not others & set(edges)}
        if not leaves:
            break
        edges = {name: others for name, others in edges.items() if name not in leaves}
    assert not edges, f"a circle among {sorted(edges)}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_large_libraries_have_their_place(name: str) -> None:
    found = {word.partition(".")[0] for word in imports(MODULES[name], types=True)}
    assert "torch" not in found or trains(name)
    assert "ctypes" not in found or name in ("aezip.core.native", "aezip.tools.sandbox")
    assert "h5py" not in found or name.startswith(("aezip.container.", "aezip.files.", "aezip.cli.formats."))
    assert not found & {"click", "rich"} or name.startswith("aezip.cli.")


@pytest.mark.parametrize("path", [p for n, p in MODULES.items() if p.name == "__init__.py" and n not in FULL], ids=str)
def test_packages_hold_nothing_but_modules(path: Path) -> None:
    (only,) = tree(path).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)


def test_what_opens_a_file_loads_little() -> None:
    program = (
        "import sys, aezip\n"
        "with aezip.open(sys.argv[1]) as archive: archive['data']\n"
        "print(*(name for name in sys.modules if name.startswith('aezip.')))\n"
    )
    path = GOLDEN / "v1_0_context_autoencoder.aez"
    out = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    loaded = [name for name in out.stdout.split() if MODULES[name].name != "__init__.py"]
    assert len(loaded) <= MOST_LOADED
    assert not [name for name in loaded if name.startswith("aezip.search.") or trains(name)]
