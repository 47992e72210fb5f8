"""Sizes, bounds and errors in words, and what the streams of a file are."""

from __future__ import annotations

from collections.abc import Mapping
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


def achieved(array: Mapping[str, Any]) -> str:
    """Return the error of an array beside the one its bound allows.

    Parameters
    ----------
    array
        bound, and max_abs_error, max_rel_error, rmse, nrmse, psnr as in a report.
    """
    bound, text = array["bound"], bound_text(array["bound"])
    if bound["kind"] == "lossless":
        return "none, every value is bit-identical"
    if not array["max_abs_error"]:
        return f"none, {text} allowed"
    return f"{_beside(bound, array)}, {text} allowed"


def _beside(bound: Mapping[str, Any], array: Mapping[str, Any]) -> str:
    """Return the error in the measure of a bound."""
    largest, kind = array["max_abs_error"], bound["kind"]
    if kind == "point_relative":
        return f"max {number(array['max_rel_error'])} of a value"
    if kind == "psnr":
        return f"PSNR {number(array['psnr'])} dB"
    if kind == "nrmse":
        return f"NRMSE {number(array['nrmse'])}"
    share = kind == "range_relative" and not bound.get("per_feature") and array["rmse"] and array["nrmse"]
    return f"max {number(largest)}" + (f", {largest * array['nrmse'] / array['rmse']:.4g} of the range" if share else "")


def share_of_bound(array: Mapping[str, Any]) -> float:
    """Return which part of what is allowed an array uses; 0 where that is not one number."""
    bound, largest = array["bound"], array["max_abs_error"] or 0.0
    if bound["kind"] == "absolute":
        return float(largest / bound["value"])
    if bound["kind"] == "range_relative" and array["rmse"] and array["nrmse"]:
        return float(largest * array["nrmse"] / array["rmse"] / bound["value"])
    if bound["kind"] in ("point_relative", "nrmse"):
        measure = "max_rel_error" if bound["kind"] == "point_relative" else "nrmse"
        return float((array[measure] or 0.0) / bound["value"])
    return 1.0 if bound["kind"] == "psnr" and largest else 0.0
