"""What the pages of the documentation site show works as shown: their blocks run in order, each page in a folder of its own.

Python blocks of a page share their names, lines of console blocks go to a shell. A block with the class `norun` needs what no
test has. Networks are trained for a moment only.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import QUICK, ROOT, fenced

import aezip
from aezip.search.presets import PRESETS

DOCS = ROOT / "docs"
# what a page needs beside the package
PAGES = {
    "index.md": [],
    "choosing.md": [],
    "faq.md": [],
    "how.md": [],
    "comparison.md": [],
    "stability.md": [],
    "tutorials/climate.md": ["xarray", "netCDF4"],
    "tutorials/table.md": ["pyarrow", "pandas"],
    "tutorials/images.md": [],
    "tutorials/zarr.md": ["zarr", "dask.array", "xarray"],
}
COMMAND = """#!{python}
import sys
sys.path[:0] = {path!r}
from helpers import QUICK
from aezip.search.presets import PRESETS
PRESETS["fast"] = QUICK
from aezip.cli import main
if __name__ == "__main__":  # children import this file
    main()
"""


def shell(lines: str, bin_folder: Path) -> str:
    """Run lines as a reader types them; return what they print."""
    path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", lines],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "COLUMNS": "100"},
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.train
@pytest.mark.process
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in PAGES[page]:
        pytest.importorskip(module)
    bin_folder, work = tmp_path / "bin", tmp_path / "work"
    bin_folder.mkdir()
    work.mkdir()
    command = bin_folder / "aezip"
    command.write_text(COMMAND.format(python=sys.executable, path=[str(ROOT), str(ROOT / "tests")]), "utf-8")
    command.chmod(0o755)
    monkeypatch.chdir(work)
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    known: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for words, text in fenced(DOCS / page):
        if "norun" in words:
            continue
        if words == ["python"]:
            capsys.readouterr()
            exec(compile(text, page, "exec"), known)
            printed = capsys.readouterr().out
        elif words == ["console"]:
            printed = shell(text, bin_folder)
        elif words == ["text"]:
            assert without_numbers(text) in without_numbers(printed), f"{page} shows\n{text}\nbut there was\n{printed}"
        else:
            raise AssertionError(f"{page} has a block of {words}: python, console, text, or norun beside these")


def without_numbers(text: str) -> str:
    """Return text as it is on any machine and day: numbers, digests and runs of spaces look alike."""
    return " ".join(re.sub(r"-?\b[0-9][0-9a-f,.:TZ+-]*\b", "#", text).split())


def test_every_page_is_run_or_made_of_the_source() -> None:
    written = {path.relative_to(DOCS).as_posix() for path in [*DOCS.glob("*.md"), *DOCS.glob("tutorials/*.md")]}
    older = {f"{name}.md" for name in "architecture builtin features format guarantees large limits models variants".split()}
    assert written - older == {*PAGES, "cli.md", "api.md"}


def test_the_reference_of_python_names_all_that_is_public() -> None:
    named = set(re.findall(r"^::: aezip\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.M))
    assert named == set(aezip.__all__) - {"__version__"}
    modules = set(re.findall(r"^::: aezip\.integrations\.(\w+)", (DOCS / "api.md").read_text("utf-8"), re.M))
    assert modules == {path.stem for path in (ROOT / "aezip" / "integrations").glob("[a-z]*.py")}


def test_the_site_needs_what_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    assert {re.split(r"[\[>=]", name)[0].lower() for name in extras["docs"] + extras["notebooks"]} <= {*pinned, "aezip"}


def test_scripts_of_the_site_are_python_that_compiles() -> None:
    for name in ("docs_hooks.py", "draw_docs.py"):
        ast.parse((ROOT / "tools" / name).read_text("utf-8"))
