"""One self-contained HTML page on a file: no script, no network, every text of the file escaped.

Knows what was found; nothing of how. Every function returns HTML.
"""

from __future__ import annotations

import base64
import html
import math
from typing import TYPE_CHECKING, Any

from aezip import __version__
from aezip.core.names import shown

from . import words
from .learned import learned as drawn_codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aezip.apps.learned import Learned
    from aezip.archive.report import ArrayReport, Report

    from .inspection import Compared, Histogram, Inspection, Pictures

DECADES = 10  # of the power of the error
NARROW = 4  # a picture that is more times longer than wide is stretched
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
"""
STYLE = """
:root { --ink: #1c2430; --dim: #5b6675; --line: #d9dee5; --back: #fff; --bar: #31688e; --bad: #b2182b; --good: #1a7f4b }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --dim: #9aa5b4; --line: #333c48; --back: #14181e; --bar: #5fa3cf; --bad: #f0808c; --good: #5fc795 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 60rem; color: var(--ink); background: var(--back);
  font: 15px/1.5 system-ui, sans-serif }
h1, h2 { line-height: 1.25; overflow-wrap: anywhere } h1 { font-size: 1.5rem; margin: 0 0 .25rem }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem }
p { margin: .25rem 0; overflow-wrap: anywhere } .dim, figcaption, footer { color: var(--dim); font-size: .87rem }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good); font-weight: 600 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0 }
dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } td { padding: .15rem .75rem .15rem 0; vertical-align: middle }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.bar { width: 40%; min-width: 4rem } .bar i { display: block; height: .8rem; min-width: 1px; background: var(--bar) }
td.what { overflow-wrap: anywhere }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem }
figure { margin: 0 } img { width: 100%; height: 15rem; object-fit: contain; image-rendering: pixelated; display: block }
img.stretched { object-fit: fill } svg { width: 100%; height: auto; display: block; overflow: visible }
.ticks { display: flex; justify-content: space-between; padding: 0 1.2%; color: var(--dim); font-size: .87rem }
rect { fill: var(--bar) } rect.beyond { fill: var(--bad) }
svg line { stroke: var(--line) } footer { margin-top: 3rem }
@media (max-width: 24rem) { dl { grid-template-columns: 1fr } dd { margin-bottom: .4rem } }
@media (max-width: 36rem) { td.what { display: none } }
"""


def text(value: Any) -> str:
    """Escape whatever a file holds, without characters that no reader sees."""
    return html.escape(shown(str(value)), quote=True)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and values, the latter HTML already."""
    return "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in pairs) + "</dl>"


def bars(rows: list[tuple[str, int, str]], total: int | None = None) -> str:
    """Return a table of names, bytes, bars and words; shares of `total`, or lengths beside the largest alone."""
    most = total or max((count for _, count, _ in rows), default=0)
    lines = []
    for name, count, what in rows:
        share = 100 * count / max(1, most)
        percent = f'<td class="n">{share:.1f} %</td>' if total else ""
        bar = f'<td class="bar"><i style="width:{share:.2f}%"></i></td>' if count else '<td class="bar"></td>'
        cells = f'<td>{text(name)}</td><td class="n">{count:,}</td>{percent}{bar}<td class="what dim">{text(what)}</td>'
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def page(report: Report, inspection: Inspection, source: str) -> str:
    """Return the whole page.

    Parameters
    ----------
    report
        The ledger and the errors that were achieved.
    inspection
        What was found beside it.
    source
        Name of the file.
    """
    verified = '<span class="good">verified</span>: every stream and every decoded chunk'
    digests = verified if inspection.verified else '<span class="bad">not checked</span> (--no-verify)'
    sizes = f"{words.size(report.file_bytes)} ({report.file_bytes:,} bytes) of {words.size(report.raw_bytes)}"
    head = [("Size", sizes), ("Ratio", _ratios(report)), ("Arrays", str(len(report.arrays))), ("Digests (sha256)", digests)]
    head.append(("Written by", f"{text(report.software)}, format {text(report.format_version)}"))
    body = "".join(_array(a, inspection.arrays.get(a.name), inspection.learned.get(a.name)) for a in report.arrays)
    title = text(source)
    return (
        f"{HEAD}<title>{title}: aezip report</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{facts(head)}{body}</main>"
        f"<footer>Made by aezip {text(__version__)}. Sizes are those of the file, everything counted.</footer></body></html>\n"
    )


def _ratios(report: Report) -> str:
    words = f"<strong>{report.ratio_with_model:.2f}</strong> with the model, {report.ratio_without_model:.2f} without it"
    pays = report.shared_model_pays_after
    if not report.bytes.get("model") and pays is None:
        return f"<strong>{report.ratio:.2f}</strong>; there is no model"
    return words if pays is None else f"{words}; a shared model pays from {pays} such files on"


def _array(array: ArrayReport, compared: Compared | None, learned: Learned | None) -> str:
    """Return the section of an array."""
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, array.shape)) or "one value"
    without = array.raw_bytes / max(1, array.file_bytes - array.bytes.get("model", 0))
    known = [("Shape", text(shape)), ("Type", text(array.dtype)), ("Chunks", f"{array.chunks:,}")]
    known += [("Bound asked", text(words.bound_text(array.bound))), ("Achieved", _achieved(array))]
    known += [("Kept", text(words.keeps_text(array.keeps)))] if array.keeps else []
    ratios = f"<strong>{array.ratio:.2f}</strong>, without the model {without:.2f}; {array.bits_per_value:.4g} bits a value"
    known.append(("Ratio", ratios))
    if array.efficiency is not None:
        known.append(("Coding", f"{array.efficiency:.4f} of the bytes that an ideal coder would need"))
    if array.trained is not None:
        where = "in the file" if array.trained["embedded"] else "not in the file"
        known.append(("Model", f"{text(array.trained['id'])}, {where}"))
    ledger = [(name, count, words.MEANINGS.get(name, "")) for name, count in array.bytes.items()]
    parts = [f"<section><h2>{text(array.name)}</h2>{facts(known)}"]
    if compared is not None:
        parts.append(_compared(array, compared))
    if learned is not None:
        parts.append(drawn_codes(learned))
    parts += [f"<h3>Bytes</h3>{bars(ledger, max(1, array.file_bytes))}<h3>Plan</h3>{facts(_plan(array))}", _candidates(array)]
    return "".join(parts) + "</section>"


def _achieved(array: ArrayReport) -> str:
    return text(f"{words.measured(vars(array))}; {array.outliers:,} values stored exactly")


def _plan(array: ArrayReport) -> list[tuple[str, str]]:
    """Return the plan as names and values, a plan below it indented by its name."""
    pairs = [] if array.variant is None else [("variant", text(array.variant))]

    def walk(plan: dict[str, Any], prefix: str) -> None:
        for name, value in sorted(plan.items(), key=lambda item: item[0] != "kind"):
            if isinstance(value, dict):
                walk(value, f"{prefix}{name} \N{RIGHTWARDS ARROW} ")
            elif value is not None and value is not False and value != []:
                pairs.append((prefix + name.replace("_", " "), text("yes" if value is True else value)))

    walk(array.plan, "")
    return pairs + [(f"rate, {name.replace('_', ' ')}", f"{text(value)} bits a value") for name, value in array.rates.items()]


def _candidates(array: ArrayReport) -> str:
    """Return the plans that were tried, with the bytes they were estimated at."""
    rows = []
    for candidate in map(str, array.candidates):
        name, _, count = candidate.rpartition(": ")
        known = bool(name) and count.isascii() and count.isdigit() and len(count) < 20
        rows.append((name, int(count), "") if known else (candidate, 0, ""))
    return f"<h3>Candidates, estimated bytes</h3>{bars(rows)}" if rows else ""


def _compared(array: ArrayReport, compared: Compared) -> str:
    """Return what the original shows."""
    kept = '<span class="good">within the bound</span>'
    verdict = kept if compared.within else f'<span class="bad">bound broken</span> by {compared.wrong:,} values'
    errors = text(words.measured(compared.metrics.to_json()))
    named = [("Verdict", verdict), ("Errors", errors)]
    if compared.quality.words:
        named.append(("Likeness", text(compared.quality.words)))
    named += [("Mind", text(words)) for words in compared.quality.warnings]
    parts = ["<h3>Against the original</h3>", facts(named)]
    if compared.histogram is not None:
        parts.append(_histogram(compared.histogram, "RMSE allowed" if array.bound["kind"] == "psnr" else "bound"))
    elif compared.metrics.max_abs_error == 0:
        parts.append('<p class="dim">No errors: every value came back as it was.</p>')
    if compared.quality.noise_spectrum and compared.metrics.max_abs_error:
        parts.append(_spectrum(compared.quality.noise_spectrum))
    if compared.pictures is not None:
        parts.append(_pictures(compared.pictures))
    return "".join(parts)


def _histogram(histogram: Histogram, unit: str) -> str:
    """Return bars of errors over what is allowed; those beyond in another colour at both ends."""
    counts, width, height = histogram.counts.tolist(), 12, 140
    most, total = max(counts), sum(counts)
    shapes = []
    for number, count in enumerate(counts):
        tall = height * count / most
        beyond = ' class="beyond"' if number in (0, len(counts) - 1) else ""
        if count:
            tall = max(tall, 1.0)
            place = f'x="{number * width + 1}" y="{height - tall:.1f}"'
            shapes.append(f'<rect{beyond} {place} width="{width - 2}" height="{tall:.1f}"/>')
    right = (len(counts) - 1) * width
    ticks = f"<span>{-histogram.reach:g}</span><span>0</span><span>{histogram.reach:g}</span>"
    axis = f'<line x1="0" x2="{right + width}" y1="{height}" y2="{height}"/>'
    outside = f"{counts[0] + counts[-1]:,} beyond \N{PLUS-MINUS SIGN}{histogram.reach:g}"
    what = f"Errors (decoded minus original) over the {unit}: {total:,} values, {outside}"
    drawing = f'<svg viewBox="0 0 {right + width} {height + 1}" role="img" aria-label="{text(what)}">'
    labels = f'<div class="ticks">{ticks}</div>'
    return f"<figure>{drawing}{axis}{''.join(shapes)}</svg>{labels}<figcaption>{text(what)}.</figcaption></figure>"


def _spectrum(shares: list[float]) -> str:
    """Return bars of the power of the error over that of the values, by frequency, on a logarithmic scale."""
    width, height = 25, 140
    shapes = []
    for number, share in enumerate(shares):
        tall = height * min(1.0, 1.0 + math.log10(max(share, 1e-30)) / DECADES)
        beyond = ' class="beyond"' if share > 1.0 else ""
        if tall > 0:
            place = f'x="{number * width + 1}" y="{height - tall:.1f}"'
            shapes.append(f'<rect{beyond} {place} width="{width - 2}" height="{tall:.1f}"/>')
    right = len(shares) * width
    what = f"Power of the error over that of the values, by frequency: from 1e-{DECADES} (bottom) to 1 (top)"
    drawing = f'<svg viewBox="0 0 {right} {height + 1}" role="img" aria-label="{text(what)}">'
    axis = f'<line x1="0" x2="{right}" y1="{height}" y2="{height}"/>'
    labels = '<div class="ticks"><span>smooth</span><span>half a turn a value</span></div>'
    return f"<figure>{drawing}{axis}{''.join(shapes)}</svg>{labels}<figcaption>{text(what)}.</figcaption></figure>"


def _pictures(drawn: Pictures) -> str:
    """Return original, decoded and error of a plane, side by side where there is room."""
    axes = [axis for axis, part in enumerate(drawn.key) if isinstance(part, slice)]
    rows, columns = (-(-drawn.shape[axis] // (drawn.key[axis].step or 1)) for axis in axes)
    narrow = max(rows, columns) > NARROW * min(rows, columns)
    place = [f"axis {axis} at {part}" for axis, part in enumerate(drawn.key) if not isinstance(part, slice)]
    thinned = [f"every {drawn.key[axis].step}th index of axis {axis}" for axis in axes if (drawn.key[axis].step or 1) > 1]
    what = "; ".join([f"Axes {axes[0]} (down) and {axes[1]} (across)", *place, *thinned, *(["stretched"] if narrow else [])])
    scale = f"{drawn.low:.6g} (dark) to {drawn.high:.6g} (bright)"
    shown = (
        ("Original", drawn.original, scale), ("Decoded", drawn.decoded, "the same colours"),
        ("Error", drawn.error, f"-{drawn.limit:.4g} (blue) to {drawn.limit:.4g} (red)" if drawn.limit else "none"),
    )  # fmt: skip
    figures = []
    for name, data, caption in shown:
        link = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        style = ' class="stretched"' if narrow else ""
        figures.append(f'<figure><img{style} alt="{name}" src="{link}"><figcaption>{name}: {text(caption)}</figcaption></figure>')
    return f'<h3>A slice</h3><p class="dim">{text(what)}.</p><div class="figures">{"".join(figures)}</div>'
