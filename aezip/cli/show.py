"""What the command line shows: the ledger, the plan, progress. Knows nothing of how anything is computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aezip.tools.words import MEANINGS, bound_text, measured, plain, size

if TYPE_CHECKING:
    from aezip.archive.report import ArrayReport, Report
    from aezip.core.progress import ProgressEvent

PHASES = {"scan": "reading", "select": "choosing", "train": "training", "encode": "encoding", "verify": "verifying"}
PHASES |= {"bench": "comparing"}


def console() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False)


def summary(report: Report, path: str) -> str:
    """Return one line on a compressed file."""
    error = "no error" if not report.max_abs_error else f"max error {report.max_abs_error:.6g}"
    return f"{path}: {size(report.raw_bytes)} -> {size(report.file_bytes)}, ratio {report.ratio:.2f}, {error}"


def show(report: Report, path: str) -> None:
    """Print ledger, plan, candidates and achieved errors of a file."""
    out = console()
    out.print(Text.assemble((path, "bold"), f"  {summary(report, '')[2:]}"))
    out.print(f"format {report.format_version}, written by {plain(report.software)}", markup=False)
    if report.bytes.get("model") or report.shared_model_pays_after:
        ratios = f"with the model {report.ratio_with_model:.2f}, without it {report.ratio_without_model:.2f}"
        if report.shared_model_pays_after:
            ratios += f"; a shared model pays from {report.shared_model_pays_after} such files on"
        out.print(f"ratio     {ratios}", markup=False, soft_wrap=True)
    for array in report.arrays:
        out.print()
        _array(out, array)


def _array(out: Console, array: ArrayReport) -> None:
    shape = " x ".join(map(str, array.shape)) or "one value"
    out.print(Text.assemble((plain(array.name), "bold"), f"  {array.dtype}, {shape}, {array.chunks} chunks"))
    table = Table("stream", "bytes", "share", "what it is", box=None, pad_edge=False)
    for column in (1, 2):
        table.columns[column].justify = "right"
    total = max(1, array.file_bytes)
    for name, count in array.bytes.items():
        table.add_row(name, f"{count:,}", f"{100 * count / total:.1f} %", MEANINGS.get(name, ""))
    table.add_row("all", f"{array.file_bytes:,}", "", f"of {array.raw_bytes:,}: ratio {array.ratio:.2f}")
    out.print(table)
    plan = dict(array.plan)
    words = f"plan      {plan.pop('kind')}: " + ", ".join(f"{k} {v}" for k, v in plan.items() if v is not None)
    out.print(plain(words), markup=False)
    if array.variant is not None:
        out.print(f"variant   {plain(array.variant)}", markup=False)
    if array.trained is not None:
        where = "in the file" if array.trained["embedded"] else "not in the file"
        out.print(f"model     {plain(array.trained['id'])}, {where}", markup=False, soft_wrap=True)
    out.print(f"bound     {plain(bound_text(array.bound))}", markup=False)
    out.print(f"achieved  {measured(vars(array))}, {array.exceptions} exceptions", soft_wrap=True)
    if array.efficiency is not None:
        out.print(f"coding    {array.efficiency:.4f} of the bytes an ideal coder would need")
    if array.rates:
        rates = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in array.rates.items())
        out.print(f"rates     bits a value, on rows: {plain(rates)}", markup=False)
    if array.recommender is not None:
        rank, error = array.recommender["rank"], array.recommender["held_out_rmse"]
        out.print(f"estimates of {rank} factors, RMSE {error:.4f} on a tenth of the ratings held out while training")
    if array.candidates:
        out.print("candidates (estimated bytes)")
        for candidate in array.candidates:
            out.print(f"  {plain(candidate)}", markup=False)


@contextmanager
def progress(enabled: bool) -> Iterator[Callable[[ProgressEvent], None] | None]:
    """Show a progress bar on standard error if it is a terminal."""
    if not enabled or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1, note="")
        phase = ""

        def update(event: ProgressEvent) -> None:
            nonlocal phase
            ratio = "" if event.ratio is None else f"ratio about {event.ratio:.1f}"
            note = "  ".join(part for part in (event.message, ratio) if part)
            if event.phase != phase or event.step == 0:
                phase = event.phase
                bar.reset(task)
            bar.update(task, description=PHASES.get(phase, phase), completed=event.step, total=event.total, note=note)

        yield update
