"""Finds the smallest that a peer makes of an array: views, layouts, differences, settings. Knows nothing of files.

Everything is compared on a window of the array first, with little effort; the best few are then coded whole, decoded
and checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aezip.tools.isolate import Emit
from benchmarks.datasets import Array, Problem
from benchmarks.layouts import Layout, crop
from benchmarks.measure import check
from benchmarks.peers import Peer
from benchmarks.views import View

WINDOW = 1 << 20  # values
KEPT = 4  # layouts that are tried with every setting
FINALISTS = 4
PART_HEADER = 4  # bytes that tell the length of a part where an array is cut


@dataclass(frozen=True)
class Candidate:
    """One way to code an array with one peer."""

    view: str
    difference: int | None
    layout: Layout
    setting: str

    @property
    def label(self) -> str:
        """Return how the array was given to the peer."""
        difference = "" if self.difference is None else f", difference along {self.difference}"
        return f"{self.view}{difference} | axes {self.layout.label} | {self.setting}"


@dataclass
class Encoded:
    """The parts that a peer wrote for one candidate, and what decoding needs to know."""

    payloads: list[bytes]
    shapes: list[tuple[int, ...]]
    dtype: np.dtype[Any]
    tolerance: float

    def size(self, candidate: Candidate) -> int:
        """Return the bytes of all parts."""
        return sum(map(len, self.payloads)) + (PART_HEADER * len(self.payloads) if candidate.layout.split else 0)


def difference(values: Array, axis: int) -> Array:
    """Return first differences along ``axis``, the first entry kept, in the smallest dtype that holds them."""
    found = np.diff(values.astype(np.int64), axis=axis, prepend=0)
    low, high = int(found.min()), int(found.max())
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return found.astype(dtype)
    return found


def encode(peer: Peer, view: View, candidate: Candidate, window: tuple[slice, ...] | None, effort: bool) -> Encoded:
    """Code the values of ``view`` (or a window of them) as ``candidate`` says."""
    values = view.values if window is None else view.values[window]
    if candidate.difference is not None:
        values = difference(values, candidate.difference)
    parts = [np.ascontiguousarray(p) for p in candidate.layout.apply(values)]
    payloads = [peer.encode(p, view.tolerance, candidate.setting, effort) for p in parts]
    return Encoded(payloads, [p.shape for p in parts], values.dtype, view.tolerance)


def decode(peer: Peer, view: View, candidate: Candidate, encoded: Encoded) -> Array:
    """Return the array, in its original dtype, that ``encoded`` stands for."""
    parts = [
        peer.decode(payload, encoded.dtype, shape, encoded.tolerance, candidate.setting)
        for payload, shape in zip(encoded.payloads, encoded.shapes, strict=True)
    ]
    values = candidate.layout.undo(parts, view.values.shape)
    if candidate.difference is not None:
        values = np.cumsum(values.astype(np.int64), axis=candidate.difference)
    return view.restore(values)


class Search:
    """The search of one peer for one problem; tells what it tries and what it finds through ``emit``."""

    def __init__(self, emit: Emit, problem: Problem, peer: Peer, skip: list[str], seconds: float):
        self.emit, self.problem, self.peer = emit, problem, peer
        self.skip = set(skip)
        self.deadline = time.process_time() + seconds
        self.failures: list[str] = []

    def run(self) -> None:
        """Emit ``{"row": ...}`` for each smaller result that passes its check, or one for a result that does not."""
        views = {v.label: v for v in self.peer.views(self.problem)}
        if not views:
            self.emit({"row": {"status": "does not apply"}})
            return
        smallest: int | None = None
        failed: dict[str, Any] | None = None
        for candidate in self._shortlist(views):
            if smallest is not None and time.process_time() > self.deadline:
                break
            row = self._finish(candidate)
            if row["status"] != "ok":
                failed = failed or row
            elif smallest is None or row["bytes"] < smallest:
                smallest = row["bytes"]
                self.emit({"row": row})
        if smallest is None:
            note = "; ".join(dict.fromkeys(self.failures))[:300]
            self.emit({"row": failed or {"status": "failed", "note": note or "nothing could be coded"}})

    def _failed(self, error: BaseException) -> None:
        """Take note of what a codec raised; panics of compiled codecs are no `Exception`."""
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        self.failures.append(f"{type(error).__name__}: {error}"[:120])

    def _starts(self, views: dict[str, View]) -> Iterator[Candidate]:
        shape = self.problem.array.shape
        differences: list[int | None] = [None]
        if self.peer.differences:
            differences += range(len(shape))
        for layout in self.peer.layouts(shape):
            for label in views:
                for axis in differences:
                    yield Candidate(label, axis, layout, self.peer.settings[0])

    def _shortlist(self, views: dict[str, View]) -> list[Candidate]:
        """Return the best candidates on a window of the array, best first."""
        window = crop(self.problem.array.shape, WINDOW)
        share = np.prod([s.stop - s.start for s in window]) / max(self.problem.array.size, 1)
        sizes: dict[Candidate, float] = {}

        def measure(candidate: Candidate) -> None:
            view = views[candidate.view]
            if candidate.label in self.skip or (time.process_time() > self.deadline and sizes):
                return
            self.emit({"trying": candidate.label})
            try:
                encoded = encode(self.peer, view, candidate, window, effort=False)
            except BaseException as error:  # a setting or shape that the codec refuses is no result
                self._failed(error)
                return
            sizes[candidate] = encoded.size(candidate) + view.extra * share

        for candidate in self._starts(views):
            measure(candidate)
        for start in sorted(sizes, key=sizes.__getitem__)[:KEPT]:
            for setting in self.peer.settings[1:]:
                measure(Candidate(start.view, start.difference, start.layout, setting))
        return sorted(sizes, key=sizes.__getitem__)[:FINALISTS]

    def _finish(self, candidate: Candidate) -> dict[str, Any]:
        """Code the whole array, with a tighter tolerance where the check finds too large an error."""
        row: dict[str, Any] = {"status": "failed"}
        for factor in self.peer.factors:
            if candidate.label in self.skip:
                break
            view = next(v for v in self.peer.views(self.problem, factor) if v.label == candidate.view)
            self.emit({"trying": candidate.label})
            try:
                began = time.perf_counter()
                encoded = encode(self.peer, view, candidate, None, effort=True)
                halfway = time.perf_counter()
                decoded = decode(self.peer, view, candidate, encoded)
                seconds = time.perf_counter() - halfway
                found = check(self.problem, decoded)
            except BaseException as error:  # as above
                self._failed(error)
                return {"status": "failed", "note": self.failures[-1], "how": candidate.label}
            row = {
                "status": found.status,
                "bytes": encoded.size(candidate) + view.extra,
                "max_error": found.max_error,
                "share_of_bound": found.share_of_bound,
                "how": candidate.label,
                "factor": factor,
                "encode_seconds": round(halfway - began, 4),
                "decode_seconds": round(seconds, 4),
            }
            if found.status == "ok":
                break
        return row
