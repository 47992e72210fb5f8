"""Hooks of the documentation site (`mkdocs.yml`): pages that lie outside of `docs`, and links to them.

Documents of the repository link to each other by path, so that they can be read there. On the site `SECURITY.md`, `CHANGELOG.md`,
`CONTRIBUTING.md` and the results of benchmarks are pages too; links are changed accordingly, and those to files that are on no
page become plain text. The page of the command line is made of the commands, those of the notebooks of what these hold.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tools.notebooks import as_page, notebooks  # noqa: E402

RESULTS = "benchmarks/results"
OUTSIDE = {"SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
OUTSIDE |= {
    path.relative_to(ROOT).as_posix(): f"results/{path.relative_to(ROOT / RESULTS).as_posix()}"
    for pattern in ("*.md", "*.png", "plots/*.png")
    for path in sorted((ROOT / RESULTS).glob(pattern))
}
ALIKE = {"README.md": "index.md"} | {f"docs/notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in notebooks()}
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
    """Add the pages and pictures that lie outside of `docs`, and those of the notebooks."""
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    for notebook in notebooks():
        text, pictures = as_page(notebook)
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Change links between documents of the repository to those between pages of the site."""
    here = page.file.src_uri
    if here == "cli.md":
        markdown = markdown.replace("<!-- commands -->", commands())
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


def commands() -> str:
    """Return the commands with their options."""
    from aezip.cli import cli

    context = click.Context(cli, info_name="aezip", **cli.context_settings)
    return "\n".join(_command(cli.commands[name], name, context) for name in sorted(cli.commands))


def _command(command: click.Command, name: str, above: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## aezip {name}", "", _plain(command.help), "", "```text", usage, "```", ""]
    for parameter in command.get_params(context):
        names, meaning = parameter.get_help_record(context) or ("", "")
        if meaning:
            lines.append(f"- {', '.join(f'<code>{_plain(part)}</code>' for part in names.split(', '))}: {_plain(meaning)}")
    examples = getattr(command, "examples", ())
    if examples:
        lines += ["", "```console", *examples, "```"]
    return "\n".join([*lines, ""])


def _plain(text: str | None) -> str:
    """Return text in which nothing is taken for markup."""
    words = " ".join((text or "").replace("\b", "").split())
    return re.sub(r"[^\w\s.,:;()+=-]", lambda sign: f"&#{ord(sign[0])};", words)
