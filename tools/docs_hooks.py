"""Hooks of the documentation site (`mkdocs.yml`): pages that lie outside of `docs`, and links to them.

Documents of the repository link to each other by path, so that they can be read there. On the site `SECURITY.md`, `CHANGELOG.md`,
`CONTRIBUTING.md` and the results of benchmarks are pages too; links are changed accordingly, and those to files that are on no page
become plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
RESULTS = "benchmarks/results"
OUTSIDE = {"SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
OUTSIDE |= {
    path.relative_to(ROOT).as_posix(): f"results/{path.relative_to(ROOT / RESULTS).as_posix()}"
    for pattern in ("*.md", "*.png", "plots/*.png")
    for path in sorted((ROOT / RESULTS).glob(pattern))
}
ALIKE = {"README.md": "index.md"}
INSIDE = {page: path for path, page in OUTSIDE.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put the pages of folders into the navigation."""
    config["nav"] = _listed(config["nav"])
    return config


def _listed(nav: list[Any]) -> list[Any]:
    found: list[Any] = []
    for entry in nav:
        title, inside = next(iter(entry.items()))
        if isinstance(inside, list):
            inside = _listed(inside)
        elif not inside.endswith(".md"):
            pages = [page for page in OUTSIDE.values() if page.startswith(f"{inside}/") and page.endswith(".md")]
            inside = sorted([*pages, *(f"{inside}/{path.name}" for path in (ROOT / "docs" / inside).glob("*.md"))])
        found.append({title: inside})
    return found


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages and pictures that lie outside of `docs`."""
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Change links between documents of the repository to those between pages of the site."""
    here = page.file.src_uri
    path = INSIDE.get(here, f"docs/{here}")

    def changed(link: re.Match[str]) -> str:
        picture, words, target, anchor = link.groups()
        if re.match(r"[a-z]+:", target):
            return link[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        there = OUTSIDE.get(wanted) or ALIKE.get(wanted) or wanted.removeprefix("docs/")
        if files.get_file_from_path(there) is None and (ROOT / wanted).exists():
            return words  # in the repository, but no page
        return f"{picture}[{words}]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{anchor or ''})"

    return re.sub(LINK, changed, markdown)
