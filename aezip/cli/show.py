"""What the command line shows: the ledger, the plan, what was written. Knows nothing of how anything is computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aezip.core.errors import meaningful
from aezip.core.names import shown
from aezip.plans.words import plan_text
from aezip.tools.words import MEANINGS, achieved, bound_text, keeps_text, measured, share_of_bound, size

if TYPE_CHECKING:
    from aezip.archive.report import ArrayReport, Report
    from aezip.array.bounds import Bound
    from aezip.files.whole import Taken

    from .formats import Source


def console() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False)


def summary(report: Report, path: str) -> str:
    """Return one line on a compressed file."""
    error = "no error" if not report.max_abs_error else f"max error {report.max_abs_error:.6g}"
    given, made = report.original_bytes, report.file_bytes
    return f"{shown(path)}: {size(given)} -> {size(made)}, ratio {given / max(1, made):.2f}, {error}"


def at_a_glance(report: Report, seconds: float) -> list[str]:
    """Return three lines on the only file that was compressed: error beside bound, plan, time."""
    if not report.arrays:
        return [f"  time   {seconds:.1f} s"]
    worst = max(report.arrays, key=lambda array: share_of_bound(vars(array)))
    several = len(report.arrays) > 1
    error = f"{worst.name}: {achieved(vars(worst))}" if several and report.max_abs_error else achieved(vars(worst))
    plans = Counter(plan_text(array.plan) for array in report.arrays)
    most = plans.most_common(2)
    plan = "; ".join(f"{count} x {text}" if several else text for text, count in most)
    plan += f"; and {len(plans) - len(most)} other plans" if len(plans) > len(most) else ""
    rate = f", {report.raw_bytes / seconds / 1e6:.3g} MB/s" if seconds > 0 else ""
    return [shown(f"  error  {error}"), shown(f"  plan   {plan}"), f"  time   {seconds:.1f} s{rate}"]


def looked_for(bound: Bound, made: int, wanted: float) -> str:
    """Return what a bound made of a file that is to have a size."""
    return f"{bound_text(bound.to_json())} makes {size(made)}, at most {size(int(wanted))} wanted"


def all_in_one(count: int, failed: int, raw: int, stored: int) -> str:
    """Return one line on several compressed files."""
    ratio = f", ratio {raw / max(1, stored):.2f}" if count else ""
    return f"{count} file{'s' * (count != 1)}: {size(raw)} -> {size(stored)}{ratio}" + (f"; {failed} failed" if failed else "")


def taken(source: str, told: Taken) -> Iterator[str]:
    """Yield what is to be said of a file that is taken whole."""
    for name, words in told.lossy.items():
        yield f"{name!r} of {source} was compressed lossily before ({words}): errors add up, use the original"
    for name, words in told.refused.items():
        yield f"{name!r} of {source} is left out: it holds {words}"
    if told.elsewhere:
        yield f"{source}: {told.elsewhere[0]} refers to another file, which is not in the archive"


def unused(report: Report, model: str) -> str:
    """Return a word on a model that was given and left away, to be put after a summary; "" where there is none."""
    without = [array.name for array in report.arrays if array.trained is None]
    if not model or not without:
        return ""
    where = "" if len(without) == len(report.arrays) else f" for {', '.join(map(shown, without))}"
    return f"; without the model {shown(model)}{where}, with which the file would be no smaller"


def tried(report: Report) -> Iterator[str]:
    """Yield a line for each candidate that was tried: its array, what it is, the bytes expected."""
    for name, candidates in report.tried.items():
        for candidate, count in dict.fromkeys(candidates):
            yield shown(f"{name}: {candidate}" + (f": {count:,.0f} bytes" if math.isfinite(count) else ""))


def written(path: str, arrays: Mapping[str, Source]) -> str:
    """Return one line on what was decompressed."""
    where = "standard output" if path == "-" else path
    total = size(sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays.values()))
    if len(arrays) != 1:
        return f"{where}: {len(arrays)} arrays, {total}"
    (array,) = arrays.values()
    return f"{where}: {array.dtype}, {' x '.join(map(str, array.shape)) or 'one value'}, {total}"


def show(report: Report, path: str, columns: Mapping[str, Sequence[str]] | None = None) -> None:
    """Print ledger, plan, candidates and achieved errors of a file; of a table, which columns an array holds."""
    out = console()
    out.print(Text.assemble((shown(path), "bold"), f"  {summary(report, '')[2:]}"))
    out.print(f"format {report.format_version}, written by {shown(report.software)}", markup=False)
    if report.file is not None:
        told, beside = report.file, report.bytes["file"]
        words = f"original  {shown(told['name'])}, {told['format']}, {size(told['bytes'])}, of {shown(told['modified'])}"
        out.print(words, markup=False)
        out.print(f"sha256    {told['sha256']}", markup=False)
        out.print(f"beside    {beside:,} bytes hold what is no array", markup=False)
    if report.bytes.get("model") or report.shared_model_pays_after:
        ratios = f"with the model {report.ratio_with_model:.2f}, without it {report.ratio_without_model:.2f}"
        if report.shared_model_pays_after:
            ratios += f"; a shared model pays from {report.shared_model_pays_after} such files on"
        out.print(f"ratio     {ratios}", markup=False, soft_wrap=True)
    for array in report.arrays:
        out.print()
        _array(out, array, (columns or {}).get(array.name, ()))


def _array(out: Console, array: ArrayReport, columns: Sequence[str]) -> None:
    shape = " x ".join(map(str, array.shape)) or "one value"
    out.print(Text.assemble((shown(array.name), "bold"), f"  {array.dtype}, {shape}, {array.chunks} chunks"))
    if columns:
        out.print(f"holds     {shown(', '.join(columns))}", markup=False, soft_wrap=True)
    table = Table("stream", "bytes", "share", "what it is", box=None, pad_edge=False)
    for column in (1, 2):
        table.columns[column].justify = "right"
    total = max(1, array.file_bytes)
    for name, count in array.bytes.items():
        table.add_row(name, f"{count:,}", f"{100 * count / total:.1f} %", MEANINGS.get(name, ""))
    table.add_row("all", f"{array.file_bytes:,}", "", f"of {array.raw_bytes:,}: ratio {array.ratio:.2f}")
    out.print(table)
    with meaningful("the plan in the header"):
        out.print(shown(f"plan      {plan_text(array.plan)}"), markup=False)
    if array.needs:
        out.print(f"needs     {shown(', '.join(array.needs))}, decoded first", markup=False)
    if array.variant is not None:
        out.print(f"variant   {shown(array.variant)}", markup=False)
    if array.trained is not None:
        where = "in the file" if array.trained["embedded"] else "not in the file"
        out.print(f"model     {shown(array.trained['id'])}, {where}", markup=False, soft_wrap=True)
    out.print(f"bound     {shown(bound_text(array.bound))}", markup=False)
    if array.keeps:
        out.print(f"keeps     {shown(keeps_text(array.keeps))}", markup=False)
    out.print(f"achieved  {measured(vars(array))}, {array.outliers} outliers", soft_wrap=True)
    if array.efficiency is not None:
        out.print(f"coding    {array.efficiency:.4f} of the bytes an ideal coder would need")
    if array.rates:
        rates = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in array.rates.items())
        out.print(f"rates     bits a value, on rows: {shown(rates)}", markup=False)
    if array.recommender is not None:
        rank, error = array.recommender["rank"], array.recommender["held_out_rmse"]
        out.print(f"estimates of {rank} factors, RMSE {error:.4f} on a tenth of the ratings held out while training")
    if array.candidates:
        out.print("candidates (estimated bytes)")
        for candidate in array.candidates:
            out.print(f"  {shown(candidate)}", markup=False)
