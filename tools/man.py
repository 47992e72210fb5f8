"""Manual pages made of the commands themselves: `python -m tools.man FOLDER` writes aezip.1 and aezip-COMMAND.1 into it.

What a page says stands in the help; nothing is written twice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from aezip import __version__
from aezip.cli import cli
from aezip.cli.helping import Command

CODES = {
    0: "good",
    1: "another failure",
    2: "usage or unusable input",
    3: "damaged, or no aezip file",
    4: "bound not met",
    5: "model missing or wrong",
    6: "unsupported version",
    7: "unsafe file, or limit exceeded",
    130: "interrupted",
    143: "terminated",
}


def escaped(text: str) -> str:
    """Return text that groff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text


def _head(name: str, about: str) -> Iterator[str]:
    yield f'.TH "{name.upper()}" "1" "" "aezip {__version__}" "aezip"'
    yield ".SH NAME"
    yield f"{escaped(name)} \\- {escaped(about)}"


def _first(text: str) -> str:
    """Return the first sentence of a help, without the point."""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield ".PP"
        yield escaped(" ".join(paragraph.split()))


def _listed(rows: list[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield ".TP"
        yield f"\\fB{escaped(name)}\\fR"
        yield escaped(text)


def page(name: str, command: Command) -> str:
    """Return the page of a command."""
    context = click.Context(command, info_name=f"aezip {name}", parent=click.Context(cli, info_name="aezip"))
    context.help_option_names = ["-h", "--help"]
    text = command.help or ""
    lines = list(_head(f"aezip-{name}", _first(text)))
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [".SH SYNOPSIS", f"\\fBaezip {name}\\fR {escaped(usage)}", ".SH DESCRIPTION", *_paragraphs(text)]
    for heading, rows in command.lists(context).items():
        lines += [f".SH {heading.upper()}", *_listed(rows)]
    lines += [".SH EXAMPLES"]
    for example in command.examples:
        lines += [".PP", ".nf", escaped(example), ".fi"]
    lines += [".SH SEE ALSO", escaped("aezip(1)")]
    return "\n".join(lines) + "\n"


def overview() -> str:
    """Return the page of the program."""
    lines = list(_head("aezip", _first(cli.help or "")))
    lines += [".SH SYNOPSIS", "\\fBaezip\\fR COMMAND [OPTIONS] ...", ".SH COMMANDS"]
    lines += _listed([(f"aezip-{name}(1)", _first(command.help or "")) for name, command in sorted(cli.commands.items())])
    lines += [".SH EXIT STATUS", *_listed([(str(code), words) for code, words in CODES.items()])]
    lines += [".SH ENVIRONMENT", *_listed([("AEZIP_MODEL_PATH", "Folders in which models are looked for that files refer to.")])]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return every page by the name of its file."""
    found = {"aezip.1": overview()}
    for name, command in cli.commands.items():
        assert isinstance(command, Command)
        found[f"aezip-{name}.1"] = page(name, command)
    return found


def main(folder: str) -> None:
    """Write the pages."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (place / name).write_text(text, encoding="utf-8")
    print(f"{len(pages())} pages in {place}")


if __name__ == "__main__":
    main(sys.argv[1])
