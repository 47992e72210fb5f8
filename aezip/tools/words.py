"""Sizes, bounds and errors in words, and what the streams of a file are."""

from __future__ import annotations

from typing import Any

MEANINGS = {
    "codes": "quantized bottleneck codes",
    "residual": "what the prediction misses",
    "data": "values without a network",
    "outliers": "values stored exactly",
    "mask": "places of NaN, infinities, fill",
    "model": "decoder and tables",
    "recommender": "estimates of what was not rated",
    "file": "what is no array of numbers",
    "container": "HDF5, headers, index, digests",
}


def size(count: float) -> str:
    """Return a number of bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1000
    return ""


def number(value: float | None) -> str:
    """Return a measurement, or a dash."""
    return "-" if value is None else f"{value:.6g}"


def bound_text(bound: dict[str, Any]) -> str:
    """Return a bound in words."""
    kind = bound["kind"].replace("_", "-")
    amount = bound.get("value", bound.get("db"))
    text = kind if amount is None else f"{kind} {amount:g}"
    return f"{text} per feature" if bound.get("per_feature") else text


def keeps_text(keeps: dict[str, Any]) -> str:
    """Return in words what holds beside the bound; "" for nothing."""
    texts = [f"no value crosses {', '.join(f'{one:g}' for one in keeps['thresholds'])}"] if keeps.get("thresholds") else []
    if keeps.get("map"):
        texts.append(f"at each place its own largest error, {number(keeps['map']['least'])} to {number(keeps['map']['most'])}")
    return "; ".join(texts)


def measured(values: dict[str, Any]) -> str:
    """Return measured errors in words."""
    texts = [f"max error {number(values['max_abs_error'])}", f"RMSE {number(values['rmse'])}"]
    texts += [f"NRMSE {number(values['nrmse'])}", f"PSNR {number(values['psnr'])} dB"]
    return ", ".join(texts)
