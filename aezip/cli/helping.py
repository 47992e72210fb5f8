"""How a command shows its help: options under headings where there are many, two examples that work at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

WIDTH = 100  # columns that help takes where the terminal has them
FIRST = 27  # columns of the names of options
MANY = 16  # options that one list shows
HEADINGS = {
    "Output": ("output", "output_dir", "force", "remove", "no_verify", "recursive"),
    "Error allowed": (
        "absolute", "range_rel", "point_rel", "psnr", "nrmse", "lossless", "per_feature", "bound_rules", "bounds_file",
        "target_size", "target_ratio", "abs_map", "keep_sign", "thresholds",
    ),
    "Input": ("datasets", "dtype", "shape", "fill_values", "valid_range", "skip", "drop", "exact_text"),
    "Effort and model": (
        "preset", "presets", "threads", "dask", "device", "seed", "variant", "codes", "width", "recommend", "separate", "model",
        "embed_model", "start", "max_seconds",
    ),
}  # fmt: skip
REST = "What is told"
_PLACES = {name: heading for heading, names in HEADINGS.items() for name in names}


class Command(click.Command):
    """A command with examples.

    Parameters
    ----------
    examples
        Command lines that work in a folder with the files that they name.
    """

    def __init__(self, *words: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*words, **options)
        self.examples = tuple(examples)

    def lists(self, context: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return the options, each with its help, under their headings."""
        options = [p for p in self.get_params(context) if isinstance(p, click.Option)]
        records = [(p.name, record) for p in options if (record := p.get_help_record(context)) is not None]
        if len(records) <= MANY:
            return {"Options": [record for _, record in records]}
        found: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*HEADINGS, REST)}
        for name, record in records:
            found[_PLACES.get(name or "", REST)].append(record)
        return {heading: rows for heading, rows in found.items() if rows}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        for heading, rows in self.lists(ctx).items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=FIRST)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:  # never wrapped: they are there to be copied
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def command(*examples: str, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function, with examples."""
    return click.command(cls=Command, examples=examples, **options)
