"""Plans in words, as people are told them: from what a file says, whole (`container/header.py:lengthen`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


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


def _columns(plan: Mapping[str, Any]) -> str:
    networks = plan.get("networks")
    text = "columns one by one, by how often values return and what earlier columns tell"
    text += ", sorted by others" if any(plan.get("keys", ())) else ""
    return f"no network: {text}" if networks is None else f"{text}; {_counted(networks)}"


def _counted(networks: Mapping[str, Any]) -> str:
    count = len(networks["columns"])
    return f"{count} of them by a network of {networks['hidden']} hidden units from those before"


def _static(plan: Mapping[str, Any]) -> str:
    each = ", counted for each column" if plan["groups"] else ""
    if plan["scale_hidden"]:
        return f"networks of {plan['hidden']} hidden units: each entry from those before{_differences(plan['difference'])}"
    return f"no network: one distribution for each feature of a row{_differences(plan['difference'])}{each}"


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
    if plan["signal"] is not None:
        return f"from beginning to end of axis {plan['signal']['axis']}"
    if plan.get("raster"):
        return f"in raster order over {_listed(plan['raster'])}"
    return "coarse to fine along " + ", then ".join(_listed(axes) for axes in plan["order"])


_PLANS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "bytes": _bytes,
    "difference": _difference,
    "buckets": _buckets,
    "static": _static,
    "columns": _columns,
    "autoencoder": _autoencoder,
    "context": _context,
}


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return a plan, as `to_json` of its class gives it, in words."""
    known = _PLANS.get(str(plan["kind"]))
    return str(plan["kind"]) if known is None else known(plan)
