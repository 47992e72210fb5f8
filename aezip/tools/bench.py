"""One array through aezip and through every installed peer at one bound: size, speed, memory, error. Knows no terminals.

Each codec runs in a child process with limits, so that whatever it does is a row. Peers are given the array as it is, with one
plain setting: no search of axis orders or settings, and no repair of holes.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import Admitted, admit, native
from aezip.array.bounds import Absolute, Bound, Lossless, Tolerance, resolve
from aezip.array.checking import violations
from aezip.array.metrics import Accumulator
from aezip.array.missing import ValidRange
from aezip.array.specials import ordinary
from aezip.array.statistics import measure
from aezip.core.errors import FillWarning, InvalidInput
from aezip.core.types import Array

from .isolate import Emit, Limits, Outcome, isolated, peak_memory
from .peers import PEERS, Peer, smallest, to_dtype

ONE_THIRD = 3**-0.5  # of `Problem.allowed` for a PSNR: keeps it however the errors spread
HALF = 0.4995  # an integer may be missed by this much and still round to itself
FLOATS_UP_TO = 2**24  # integers up to here are exact in float32
MISSING = "not installed: pip install aezip[bench]"
UNFIT = "does not apply"


@dataclass(frozen=True)
class Problem:
    """An array as plain numbers, and what is allowed."""

    values: Array
    tolerance: Tolerance
    fill: Array | None
    valid: ValidRange | None = None

    @property
    def lossless(self) -> bool:
        """Say whether the array must come back bit for bit."""
        return self.tolerance.kind == "lossless"

    @property
    def allowed(self) -> npt.NDArray[np.float64] | None:
        """Absolute error that keeps the bound, shape () or that of the columns; None: there is none.

        Errors that spread evenly up to E have a mean square of E^2 / 3; whether they did is checked.
        """
        if self.tolerance.kind == "psnr":
            return np.array(np.sqrt(3.0 * self.tolerance.mse))
        return None if self.tolerance.kind == "relative" else self.tolerance.absolute


@dataclass(frozen=True)
class BenchInput:
    """What a peer gets in place of the array, and the way back; `extra` are the bytes which that needs."""

    values: Array
    tolerance: float
    extra: int
    restore: Callable[[Array], Array]


def pose(array: Any, bound: Bound, **missing: Any) -> Problem:
    """Turn an array and a bound into plain numbers; `missing`: fill_value, valid_range, as in `aezip.compress`.

    Raises
    ------
    InvalidInput
        If the array cannot be compressed, or holds no values.
    """
    admitted: Admitted = admit(array, **missing)
    if not admitted.values.size:
        raise InvalidInput("the array holds no values: there is nothing to compare, give one that does")
    values = native(admitted.values)
    statistics = measure(values, admitted.fill, admitted.valid, trailing=admitted.trailing)
    tolerance = resolve(Lossless() if admitted.lossless_only else bound, statistics)
    return Problem(values, tolerance, admitted.fill, admitted.valid)


def check(problem: Problem, decoded: Array) -> tuple[str, float]:
    """Return "ok" or what is wrong with decoded plain values, and the largest error over ordinary values.

    The check is aezip's own, in float64 without tolerance, but for the sign of a zero and the bits of a NaN: a bound says
    nothing of those.
    """
    x, y = problem.values, decoded
    if y.shape != x.shape or y.dtype != x.dtype:
        return f"returned {y.dtype} {y.shape}", np.inf
    special = ordinary(x, problem.fill, problem.valid)[1]
    errors = Accumulator()
    errors.update(x, y, special)
    found = errors.result()
    if problem.lossless:
        return ("not bit-identical" if violations(x, y, problem.tolerance).any() else "ok"), found.max_abs_error
    if special.any() and not np.array_equal(x[special], y[special], equal_nan=x.dtype.kind == "f"):
        return "NaN, infinity or fill value lost", found.max_abs_error
    zero = x.dtype.type(0)
    x, y = (np.where(special, zero, part) + zero for part in (x, y))
    beyond = bool(violations(x, y, problem.tolerance).any())
    beyond |= problem.tolerance.kind == "psnr" and found.rmse**2 > problem.tolerance.mse
    return ("bound exceeded" if beyond else "ok"), found.max_abs_error


def given(peer: Peer, problem: Problem, factor: float) -> BenchInput | None:
    """Return what a peer gets, asked for `factor` times the error allowed; None where it does not apply."""
    made: BenchInput | None
    if peer.takes == "exact":
        made = _exact(peer, problem.values)
    elif problem.allowed is None or (problem.lossless and problem.values.dtype.kind == "f"):
        return None
    elif peer.takes == "float":
        made = _floats(problem.values, problem.allowed, factor)
    else:
        made = _steps(problem.values, problem.allowed, factor)
    if made is None or made.values.dtype.kind not in peer.kinds or made.values.dtype.itemsize not in peer.widths:
        return None
    return made


def _exact(peer: Peer, values: Array) -> BenchInput:
    """Return the array itself, or in a wider type that holds every value, where the peer does not take its own."""
    wide = values
    if values.dtype.itemsize not in peer.widths:
        wide = values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
    return BenchInput(wide, 0.0, 0, lambda y: y.astype(values.dtype))


def _floats(values: Array, allowed: npt.NDArray[np.float64], factor: float) -> BenchInput | None:
    """Return floats and one tolerance for all; None where columns have their own, or nothing is allowed."""
    if allowed.ndim:
        return None
    wide, error = values, allowed
    if values.dtype.kind != "f":
        small = max(abs(int(values.max())), abs(int(values.min()))) <= FLOATS_UP_TO
        wide, error = values.astype(np.float32 if small else np.float64), np.floor(allowed) + HALF
    elif values.dtype.itemsize < 4:
        wide = values.astype(np.float32)
    if error <= 0:
        return None
    return BenchInput(wide, float(error) * factor, 0, lambda y: to_dtype(y, values.dtype))


def _steps(values: Array, allowed: npt.NDArray[np.float64], factor: float) -> BenchInput:
    """Return how many steps of twice the error allowed each value is; 8 bytes a step."""
    dtype = values.dtype
    if dtype.kind != "f":
        whole = 2 * np.floor(np.minimum(allowed * factor, 2.0**61)).astype(np.int64) + 1
        counts = np.floor_divide(values.astype(np.int64) + whole // 2, whole)
        return BenchInput(smallest(counts), 0.0, 8 * whole.size, lambda y: to_dtype(y.astype(np.int64) * whole, dtype))
    moving = np.broadcast_to(allowed > 0, values.shape)
    step = np.where(allowed > 0, 2 * allowed * factor, 1.0)
    constants = values[:1].astype(np.float64)  # of columns where nothing is allowed
    counts = np.where(moving, np.rint(values / step), 0.0).astype(np.int64)
    extra = 8 * step.size if moving.all() else 8 * step.size + constants.nbytes

    def restore(decoded: Array) -> Array:
        return to_dtype(np.where(moving, decoded * step, constants), dtype)

    return BenchInput(smallest(counts), 0.0, extra, restore)


def _seen(peer: Peer, values: Array) -> Array:
    """Return the values in no more axes than the peer uses: the outer ones merged."""
    most = peer.dimensions[1]
    merged = values.reshape(-1, *values.shape[values.ndim - most + 1 :]) if 0 < most < values.ndim else values
    return np.ascontiguousarray(merged)


def attempt(peer: Peer, problem: Problem, factor: float) -> dict[str, Any] | None:
    """Return what a peer makes of an array; None where it does not apply."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NaN is no integer: the check tells
        began = time.perf_counter()
        made = given(peer, problem, factor)
        if made is None:
            return None
        values, setting = _seen(peer, made.values), peer.settings[0]
        payload = peer.encode(values, made.tolerance, setting, True)
        halfway = time.perf_counter()
        decoded = made.restore(peer.decode(payload, values.dtype, values.shape, made.tolerance, setting))
        decoded = decoded.reshape(problem.values.shape)
        ended, peak = time.perf_counter(), peak_memory()
        status, error = check(problem, decoded)
    return _row(problem, status, len(payload) + made.extra, error, (halfway - began, ended - halfway), peak)


def _row(problem: Problem, status: str, size: int, error: float, seconds: tuple[float, float], peak: int) -> dict[str, Any]:
    """Return the measurements of a codec."""
    raw = problem.values.nbytes
    found: dict[str, Any] = {"status": status, "bytes": size, "ratio": raw / size, "max_error": error, "peak_memory": peak}
    for name, spent in zip(("compress", "decompress"), seconds, strict=True):
        found |= {f"{name}_seconds": round(spent, 4), f"{name}_mb_per_s": raw / 1e6 / max(spent, 1e-6)}
    return found


def _keep_files_beside(path: str) -> None:
    """Put temporary files of this process where the parent clears up, whatever becomes of this process."""
    tempfile.tempdir = str(Path(path).parent)


def _peer(emit: Emit, peer: Peer, path: str, bound: Bound, missing: dict[str, Any]) -> None:
    """Be the child of a peer: ask for less and less error until the check is passed."""
    _keep_files_beside(path)
    with contextlib.suppress(Exception):  # imports of the codec do not count
        attempt(peer, pose(np.arange(64, dtype=np.float32).reshape(8, 8), Absolute(1.0)), 1.0)
    problem = pose(np.load(path, allow_pickle=False), bound, **missing)
    row: dict[str, Any] | None = None
    averaged = problem.tolerance.kind == "psnr" and peer.takes != "exact"
    for factor in (*peer.factors, ONE_THIRD) if averaged else peer.factors:
        row = attempt(peer, problem, factor)
        if row is not None:
            row["asked"] = factor
        if row is None or row["status"] != "bound exceeded":
            break
    emit({"row": row or {"status": UNFIT}})


def _aezip(emit: Emit, settings: dict[str, Any], path: str, bound: Bound, missing: dict[str, Any]) -> None:
    """Be the child of aezip; its time to compress includes the check of what was written."""
    from aezip.archive.reading import decompress
    from aezip.archive.writing import compress

    _keep_files_beside(path)
    array = np.load(path, allow_pickle=False)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FillWarning)
        target = Path(folder) / "array.aez"
        began = time.perf_counter()
        compress(array, target, bound=bound, **missing, **settings)
        halfway = time.perf_counter()
        decoded = decompress(target, threads=settings["threads"])
        ended, peak, size = time.perf_counter(), peak_memory(), target.stat().st_size
    problem = pose(array, bound, **missing)
    status, error = check(problem, native(admit(decoded).values))
    row = _row(problem, status, size, error, (halfway - began, ended - halfway), peak)
    told = [str(warning.message) for warning in caught if issubclass(warning.category, FillWarning)]
    emit({"row": row, "warnings": told})


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """Return the row that a child made, or how it ended."""
    made = outcome.messages[-1] if outcome.messages else {}
    return {**made.get("row", {"status": outcome.status}), **({"warnings": made["warnings"]} if made.get("warnings") else {})}


def compare(
    array: Array,
    bound: Bound,
    *,
    missing: dict[str, Any] | None = None,
    presets: tuple[str, ...] = ("balanced",),
    seconds: float = 3600.0,
    threads: int | None = None,
    peers: tuple[Peer, ...] = PEERS,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each codec, the smallest result first, those without one last.

    Parameters
    ----------
    array
        As in `aezip.compress`.
    bound
        The same for all; peers that keep no such bound get an absolute error that keeps it, where there is one.
    missing
        `fill_value` and `valid_range`, as in `aezip.compress`.
    presets
        Of aezip: a row each.
    seconds
        Of the clock, after which a codec is ended.
    threads
        Of aezip; peers run on one.
    peers
        Beside which aezip is measured.
    progress
        Called with the number of codecs done, of all, and the name of the next.

    Raises
    ------
    InvalidInput
        If the array cannot be compressed, or holds no values.
    """
    missing = missing or {}
    pose(array, bound, **missing)  # refuses before any work is done
    limits = Limits(cpu=64 * seconds, wall=seconds, memory=0)
    jobs: list[tuple[str, bool, Callable[..., None], Any]] = []
    for preset in presets:
        jobs.append((f"aezip {preset}", True, _aezip, {"preset": preset, "threads": threads}))
    for peer in peers:
        jobs.append((peer.name, peer.installed, _peer, peer))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "array.npy")
        np.save(path, array, allow_pickle=False)
        rows: list[dict[str, Any]] = []
        for number, (name, installed, function, what) in enumerate(jobs):
            if progress is not None:
                progress(number, len(jobs), name)
            made = _outcome(isolated(limits, function, what, path, bound, missing)) if installed else {"status": MISSING}
            rows.append({"codec": name, **made})
    return sorted(rows, key=lambda row: (row["status"] != "ok", row.get("bytes", np.inf)))
