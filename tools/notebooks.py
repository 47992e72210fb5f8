"""The notebooks of the documentation: executed in place, and as pages of the site.

    python -m tools.notebooks

runs all cells of `docs/notebooks/*.ipynb` in a folder of their own and keeps what they print and draw. The notebooks are the one
source: `tools/docs_hooks.py` takes pages and pictures of the site from them, with nothing but the standard library.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
KEPT = ("text/plain", "image/png")


def notebooks() -> list[Path]:
    """Return the notebooks of the documentation."""
    return sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield kind, text and outputs of each cell."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        yield cell["cell_type"], "".join(cell["source"]), cell.get("outputs", [])


def as_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by name, which lie beside the page."""
    parts, pictures = [], {}
    for kind, text, outputs in cells(path):
        parts.append(text if kind == "markdown" else f"```python\n{text}\n```")
        for output in outputs:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![what the lines above draw]({name})")
            else:
                printed = "".join(output.get("text") or data["text/plain"])
                parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join([*parts, f'<a href="{path.name}" download>This page as a notebook</a>', ""]), pictures


def execute(path: Path) -> None:
    """Run a notebook and write what its cells gave into it.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    RuntimeError
        If one warns.
    """
    import nbclient
    import nbformat

    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(
            book, timeout=600, resources={"metadata": {"path": folder}}, record_timing=False, coalesce_streams=True
        ).execute()
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name} warns: {output['text']}")
            if "data" in output:
                output["data"] = {kind: value for kind, value in output["data"].items() if kind in KEPT}
                if "image/png" in output["data"]:
                    output["data"].pop("text/plain", None)  # names the figure's class
    book.metadata["language_info"] = {"name": "python"}  # no version: whoever runs it has their own
    nbformat.write(book, path)


if __name__ == "__main__":
    for one in notebooks():
        execute(one)
        print(one.relative_to(FOLDER.parent.parent), one.stat().st_size)
