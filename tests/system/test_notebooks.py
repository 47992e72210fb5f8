"""The notebooks of the documentation run, hold what they print and draw, and become pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import QUICK, ROOT

from aezip.search.presets import PRESETS
from tools import notebooks

NEEDS = {"climate": ["matplotlib", "xarray", "netCDF4"], "autoencoder": ["matplotlib"]}
MOST_BYTES = 400_000


@pytest.mark.train
@pytest.mark.parametrize("name", NEEDS)
def test_the_cells_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in NEEDS[name]:
        pytest.importorskip(module)
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    known: dict[str, object] = {"__name__": "__main__"}
    with matplotlib.rc_context():
        for kind, text, _ in notebooks.cells(notebooks.FOLDER / f"{name}.ipynb"):
            if kind == "code":
                exec(compile(text, name, "exec"), known)
                for number in pyplot.get_fignums():
                    pyplot.figure(number).canvas.draw()
                pyplot.close("all")


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in notebooks.notebooks()} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_what_cells_gave_is_kept_and_small(name: str) -> None:
    path = notebooks.FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < MOST_BYTES
    printed = [output for *_, outputs in notebooks.cells(path) for output in outputs]
    assert printed
    assert {output["output_type"] for output in printed} <= {"stream", "display_data", "execute_result"}
    assert {output.get("name", "stdout") for output in printed} == {"stdout"}
    assert "/home/" not in path.read_text("utf-8")
    assert str(ROOT) not in path.read_text("utf-8")
    counts = [cell["execution_count"] for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run it from beginning to end: make notebooks"


@pytest.mark.parametrize("name", NEEDS)
def test_a_notebook_becomes_a_page(name: str) -> None:
    text, pictures = notebooks.as_page(notebooks.FOLDER / f"{name}.ipynb")
    assert text.startswith("# ")
    assert text.count("```") % 2 == 0
    assert pictures
    assert all(f"]({picture})" in text and content.startswith(b"\x89PNG") for picture, content in pictures.items())
