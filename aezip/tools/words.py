"""Sizes, bounds, errors and plans in words, and what the streams of a file are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


def _listed(numbers: Iterable[int]) -> str:
    """Return axes as "axis 0", or "axes 0, 1 and 2"."""
    words = [str(one) for one in numbers]
    return f"axis {words[0]}" if len(words) == 1 else f"axes {', '.join(words[:-1])} and {words[-1]}"


def _differences(said: Mapping[str, Any] | None) -> str:
    return "" if said is None else f", of differences along axis {said['axis']}"


def _bytes(plan: Mapping[str, Any]) -> str:
    way = "bytes by significance" if plan["shuffled"] else "bytes as they are"
    return f"no network: {way}{', changes' * plan['changes']}"


def _difference(plan: Mapping[str, Any]) -> str:
    return "no network: " + ("values" if plan["axis"] is None else f"differences along axis {plan['axis']}")


def _buckets(plan: Mapping[str, Any]) -> str:
    what = f"differences along {_listed(plan['axes'])}" if plan["axes"] else "values"
    return f"no network: {what}, coded by their size"


def _recall(plan: Mapping[str, Any]) -> str:
    more = [word for key, word in (("recency", "recent values"), ("classes", "classes of earlier columns")) if plan.get(key)]
    return "no network: columns, by how often values return" + "".join(f", {word}" for word in more)


def _static(plan: Mapping[str, Any]) -> str:
    each = ", counted for each column" if plan["groups"] else ""
    return f"no network: one distribution for each feature of a row{_differences(plan['difference'])}{each}"


def _columns(plan: Mapping[str, Any]) -> str:
    return f"networks of {plan['hidden']} hidden units: each column from those before{_differences(plan['difference'])}"


def _autoencoder(plan: Mapping[str, Any]) -> str:
    kind = "convolutional autoencoder" if plan.get("convolution") else "autoencoder"
    kind = f"{plan['variant']} {kind}" if "variant" in plan else kind
    block = " x ".join(map(str, plan["layout"]))
    return f"{kind}: {plan['width']} codes for blocks of {block}, {plan['hidden']} hidden units{_differences(plan['difference'])}"


def _context(plan: Mapping[str, Any]) -> str:
    own = "that comes with aezip" if "builtin" in plan else "trained for this data"
    text = f"context network {own}, {plan['hidden']} hidden units, {_way(plan)}"
    channels = plan.get("channels") or {}
    if channels.get("axis") is not None:
        text += f", {channels['count']} channels of axis {channels['axis']} one by one"
    if channels.get("companions"):
        text += f", from {' and '.join(str(one[0]) for one in channels['companions'])}"
    return text if plan["base"] is None else f"{plan_text(plan['base'])}; above it a {text}"


def _way(plan: Mapping[str, Any]) -> str:
    """Return the way of a context network over the axes."""
    if plan["series"] is not None:
        return f"from beginning to end of axis {plan['series']['axis']}"
    if plan.get("scan"):
        return f"in raster order over {_listed(plan['scan'])}"
    return "coarse to fine along " + ", then ".join(_listed(axes) for axes in plan["order"])


_PLANS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "bytes": _bytes,
    "difference": _difference,
    "buckets": _buckets,
    "recall": _recall,
    "static": _static,
    "columns": _columns,
    "autoencoder": _autoencoder,
    "context": _context,
}


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return a plan, as `to_json` of its class gives it, in words."""
    return _PLANS[plan["kind"]](plan) if plan["kind"] in _PLANS else str(plan["kind"])
