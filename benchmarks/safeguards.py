"""``python -m benchmarks.safeguards``: demands on single values, met by aezip and by compression-safeguards around SZ3.

compression-safeguards (Tyree et al., 2025; `pip install numcodecs-safeguards pysz`) corrects what any codec of numcodecs made.
Here that is SZ3 at the same absolute bound, and its own codec of zeros, where the corrections are all there is. Both are given
the same demand in one call; every demand is checked on the decoded array; a map is not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

import aezip
from aezip.tools.peers import sz3_decode, sz3_encode
from benchmarks.datasets import DATASETS, Array
from benchmarks.measure import RESULTS, revision

SHARE = 1e-3  # of the range
NAMES = ("kuramoto_sivashinsky", "ukmo_north_america_tair")
HEAD = (
    "Made by `python -m benchmarks.safeguards`; revision {}, compression-safeguards {}, numcodecs-safeguards {}, pysz {}. "
    "Bytes are all that is stored to decode; the bound is {:g} of the range. aezip with the preset `instant`, which trains "
    "nothing; one thread, seconds of a machine in use. *broken* counts the decoded values that break a demand, in float64."
)


@dataclass(frozen=True)
class Demand:
    """What has to hold, as aezip's options and as safeguards of the other package.

    Attributes
    ----------
    broken : callable
        Original and decoded values, in float64, to where they break it.
    """

    name: str
    bound: float
    options: dict[str, Any]
    safeguards: list[dict[str, Any]]
    broken: Callable[[Array, Array], npt.NDArray[np.bool_]]
    constants: dict[str, Any]


def demands(x: Array) -> Iterator[Demand]:
    """Yield the demands on a field: its sign if it has both, a threshold, a map of errors."""
    wide = x.astype(np.float64)
    bound = SHARE * float(np.ptp(wide))
    within = {"kind": "eb", "type": "abs", "eb": bound}

    def beyond(a: Array, b: Array) -> npt.NDArray[np.bool_]:
        return np.asarray(np.abs(a - b) > bound)

    yield Demand("bound alone", bound, {}, [within], beyond, {})
    if wide.min() < 0 < wide.max():
        yield Demand(
            "sign",
            bound,
            {"keep_sign": True},
            [within, {"kind": "sign"}],
            lambda a, b: beyond(a, b) | (np.sign(a) != np.sign(b)),
            {},
        )
    middle = float(np.median(x))
    yield Demand(
        "threshold at the median",
        bound,
        {"keep_thresholds": [middle]},
        [within, {"kind": "sign", "offset": middle}],
        lambda a, b: beyond(a, b) | (np.sign(a - middle) != np.sign(b - middle)),
        {},
    )
    allowed = np.where(wide > np.quantile(wide, 0.9), bound / 10, bound).astype(x.dtype)  # a tenth needs ten times the accuracy
    yield Demand(
        "map: a tenth for the highest tenth",
        bound,
        {"error_map": allowed},
        [{"kind": "eb", "type": "abs", "eb": "allowed"}],
        lambda a, b: np.abs(a - b) > allowed.astype(np.float64),
        {"allowed": allowed},
    )


def sz3_codec(bound: float) -> Any:
    """Return SZ3 at an absolute bound as a codec of numcodecs."""
    from numcodecs.abc import Codec

    class SZ3(Codec):  # type: ignore[misc]
        codec_id = "aezip_benchmark_sz3"

        def encode(self, buf: Any) -> bytes:
            self.kind, self.shape = buf.dtype, buf.shape
            return sz3_encode(np.ascontiguousarray(buf), bound, "interp-lorenzo", True)

        def decode(self, buf: Any, out: Any = None) -> Any:
            found = sz3_decode(bytes(buf), self.kind, self.shape, bound, "interp-lorenzo")
            if out is None:
                return found
            out[...] = found
            return out

    return SZ3()


def by_aezip(x: Array, demand: Demand) -> tuple[int, Array]:
    """Return bytes and the decoded array of aezip."""
    bound = None if "error_map" in demand.options else aezip.Absolute(demand.bound)
    payload, _ = aezip.compress(x, preset="instant", threads=1, bound=bound, **demand.options)
    return len(payload), aezip.decompress(payload)


def by_safeguards(x: Array, demand: Demand, inner: str) -> tuple[int, Array]:
    """Return bytes and the decoded array of compression-safeguards around a codec."""
    from numcodecs_safeguards import SafeguardsCodec

    around = sz3_codec(demand.bound) if inner == "SZ3" else {"id": "zero"}
    codec = SafeguardsCodec(codec=around, safeguards=demand.safeguards, fixed_constants=demand.constants)
    payload = codec.encode(x)
    return len(bytes(payload)), np.asarray(codec.decode(payload, out=np.empty_like(x)))


WAYS: dict[str, Callable[[Array, Demand], tuple[int, Array]]] = {
    "aezip": by_aezip,
    "SZ3 + safeguards": lambda x, demand: by_safeguards(x, demand, "SZ3"),
    "zeros + safeguards": lambda x, demand: by_safeguards(x, demand, "zero"),
}


def lines() -> Iterator[str]:
    """Yield the page."""
    versions = map(metadata.version, ("compression-safeguards", "numcodecs-safeguards", "pysz"))
    yield from ("# Safeguards", "", HEAD.format(revision(), *versions, SHARE))
    for name in NAMES:
        x = DATASETS[name].load()
        yield from ("", f"## {name}", "", f"{x.shape}, {x.dtype}, {x.nbytes:,} bytes.", "")
        yield from ("| demand | way | bytes | ratio | seconds, both ways | broken |", "|---|---|--:|--:|--:|--:|")
        for demand in demands(x):
            for way, action in WAYS.items():
                start = time.perf_counter()
                size, y = action(x, demand)
                seconds = time.perf_counter() - start
                broken = int(demand.broken(x.astype(np.float64), y.astype(np.float64)).sum())
                yield f"| {demand.name} | {way} | {size:,} | {x.nbytes / size:.1f} | {seconds:.1f} | {broken} |"


def main() -> None:
    """Measure and write ``safeguards.md``."""
    try:
        metadata.version("numcodecs-safeguards")
    except metadata.PackageNotFoundError:
        sys.exit("compression-safeguards is not installed: pip install numcodecs-safeguards pysz")
    text = []
    for words in lines():
        text.append(words)
        print(words, flush=True)
    (RESULTS / "safeguards.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
