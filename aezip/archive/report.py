"""What a file holds and what was achieved: every number recomputed from the file and its headers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.admission import parse_dtype

if TYPE_CHECKING:
    from aezip.container.reader import Reader

STREAMS = ("codes", "residual", "data", "outliers", "mask", "model", "recommender", "file", "container")


@dataclass(frozen=True)
class ArrayReport:
    """One array of a file.

    Attributes
    ----------
    bytes : dict
        Bytes of each stream; `container` is the array's share of everything else.
    max_abs_error, rmse, nrmse, psnr : float or None
        As achieved, over the finite, unmasked values; PSNR is None where there is no error.
    efficiency : float or None
        Bytes of the coded residual and codes over the model's own cross-entropy of them.
    recommender : dict or None
        Its rank, and the error of its teachers on a tenth of the ratings that was held out.
    keeps : dict
        What holds beside the bound: see `ArrayView.keeps`.
    trained : dict or None
        The model that was used in place of training: `id`, whether it is `embedded`, bytes of its file and of its stream.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bound: dict[str, Any]
    plan: dict[str, Any]
    candidates: list[str]
    rates: dict[str, float]
    bytes: dict[str, int]
    raw_bytes: int
    max_abs_error: float | None
    max_rel_error: float | None
    rmse: float | None
    nrmse: float | None
    psnr: float | None
    outliers: int
    efficiency: float | None
    chunks: int
    recommender: dict[str, float] | None = None
    trained: dict[str, Any] | None = None
    keeps: dict[str, Any] = field(default_factory=dict)

    @property
    def file_bytes(self) -> int:
        """All bytes of the array."""
        return sum(self.bytes.values())

    @property
    def variant(self) -> str | None:
        """Kind of the autoencoder, alone or below a context network; None where no codes are stored."""
        base = self.plan.get("base")
        plan = base if isinstance(base, dict) else self.plan
        return str(plan.get("variant", "deep")) if plan.get("width") else None

    @property
    def needs(self) -> list[str]:
        """Names of the arrays that are decoded first: this one is predicted from them."""
        channels = self.plan.get("channels")
        return [str(one[0]) for one in channels.get("companions", [])] if isinstance(channels, dict) else []

    @property
    def ratio(self) -> float:
        """Raw bytes over file bytes."""
        return self.raw_bytes / max(1, self.file_bytes)

    @property
    def bits_per_value(self) -> float:
        """Bits of file for each value."""
        return 8.0 * self.file_bytes / max(1, math.prod(self.shape))

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            **{k: v for k, v in vars(self).items() if k != "shape"},
            "shape": list(self.shape),
            "variant": self.variant,
            "file_bytes": self.file_bytes,
            "ratio": self.ratio,
            "bits_per_value": self.bits_per_value,
        }


@dataclass(frozen=True)
class Report:
    """A whole file: sums, and the worst errors of its arrays; each of `arrays` has its own.

    Attributes
    ----------
    file_bytes, raw_bytes : int
        Size of the file and of the original arrays.
    bytes : dict
        The ledger; it sums to `file_bytes`.
    format_version, software : str
        Version of the file format, and what wrote the file.
    tried : dict
        Right after compressing: of each array the candidates and the bytes they were estimated to take; a file lists the best.
    file : dict or None
        The file that the archive was made of: `format`, `name`, `bytes`, `sha256`, `modified` (UTC), and how many bytes beside
        its arrays are `kept`; None: it was made of arrays.
    """

    file_bytes: int
    raw_bytes: int
    bytes: dict[str, int]
    arrays: list[ArrayReport] = field(default_factory=list)
    format_version: str = ""
    software: str = ""
    tried: dict[str, list[tuple[str, float]]] = field(default_factory=dict, repr=False, compare=False)
    file: dict[str, Any] | None = None

    @property
    def original_bytes(self) -> int:
        """Bytes of the file that the archive was made of, whatever its own compression; else those of the arrays."""
        return self.raw_bytes if self.file is None else int(self.file["bytes"])

    @property
    def ratio(self) -> float:
        """Raw bytes over file bytes."""
        return self.raw_bytes / max(1, self.file_bytes)

    @property
    def ratio_without_model(self) -> float:
        """The ratio if the model were not in the file."""
        return self.raw_bytes / max(1, self.file_bytes - self.bytes.get("model", 0))

    @property
    def ratio_with_model(self) -> float:
        """The ratio with the model counted, wherever it is: in the file, or in a file of its own that this one refers to."""
        used = [a.trained for a in self.arrays if a.trained is not None and not a.trained["embedded"]]
        outside = {str(t["id"]): int(t["file_bytes"]) for t in used}
        total = self.file_bytes + sum(outside.values())
        return self.raw_bytes / max(1, total)

    @property
    def shared_model_pays_after(self) -> int | None:
        """How many such files it takes until one model file beside them is smaller than a model in each; None: no model file."""
        used = [a.trained for a in self.arrays if a.trained is not None]
        inside = sum(int(t["stream_bytes"]) for t in used)
        return max(int(t["file_bytes"]) for t in used) // max(1, inside) + 1 if used else None

    @property
    def bits_per_value(self) -> float:
        """Bits of file for each value."""
        return 8.0 * self.file_bytes / max(1, sum(math.prod(a.shape) for a in self.arrays))

    def _worst(self, name: str) -> float | None:
        values = [getattr(a, name) for a in self.arrays]
        known = [v for v in values if v is not None]
        return max(known) if known else None

    @property
    def max_abs_error(self) -> float | None:
        """Largest absolute error of all arrays."""
        return self._worst("max_abs_error")

    @property
    def rmse(self) -> float | None:
        """Largest RMSE of the arrays."""
        return self._worst("rmse")

    @property
    def nrmse(self) -> float | None:
        """Largest NRMSE of the arrays."""
        return self._worst("nrmse")

    @property
    def psnr(self) -> float | None:
        """Lowest PSNR of the arrays, dB; None where there is no error."""
        known = [a.psnr for a in self.arrays if a.psnr is not None]
        return min(known) if known else None

    @property
    def plan(self) -> dict[str, Any] | None:
        """The plan of the first array."""
        return self.arrays[0].plan if self.arrays else None

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        names = ("file_bytes", "raw_bytes", "ratio", "ratio_without_model", "ratio_with_model", "bits_per_value", "bytes")
        errors = ("max_abs_error", "rmse", "nrmse", "psnr")
        head = {name: getattr(self, name) for name in (*names, *errors)}
        head |= {"shared_model_pays_after": self.shared_model_pays_after}
        head |= {"format_version": self.format_version, "software": self.software}
        head |= {} if self.file is None else {"file": self.file}
        return {**head, "arrays": [a.to_json() for a in self.arrays]}

    def __str__(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(self.to_json(), indent=1)


def report(reader: Reader) -> Report:
    """Make the report of an open file."""
    ledgers = {name: reader.ledger(name) for name in reader.names}
    beside = {"file": reader.file_bytes} if reader.origin is not None else {}
    container = reader.size - sum(sum(ledger.values()) for ledger in [*ledgers.values(), beside])
    arrays = []
    left = container
    for number, name in enumerate(reader.names):
        share = left if number == len(reader.names) - 1 else container // len(reader.names)
        left -= share
        arrays.append(_array(name, reader, {**ledgers[name], "container": share}))
    total: dict[str, int] = {}
    for ledger in [*ledgers.values(), beside, {"container": container}]:
        for stream, size in ledger.items():
            total[stream] = total.get(stream, 0) + size
    version = ".".join(map(str, reader.root["version"]))
    software = str(reader.root.get("software", ""))[:100]
    raw = sum(a.raw_bytes for a in arrays)
    return Report(reader.size, raw, total, arrays, version, software, file=reader.origin)


def _facts(found: Any, **kinds: type) -> dict[str, Any] | None:
    """Return what a header says of something, if all of it is there and of the types it should be."""
    if not isinstance(found, dict) or any(type(found.get(name)) is not kind for name, kind in kinds.items()):
        return None
    return {name: found[name] for name in kinds}


def _array(name: str, reader: Reader, ledger: dict[str, int]) -> ArrayReport:
    header = reader.header(name)
    achieved = header.get("achieved", {})
    shape = tuple(header["shape"])
    dtype = np.dtype(parse_dtype(header["dtype"]))
    ideal = achieved.get("ideal_bytes")
    coded = ledger.get("codes", 0) + ledger.get("residual", 0)
    return ArrayReport(
        name=name,
        shape=shape,
        dtype=str(header.get("narrow", dtype)),
        bound=header["bound"],
        plan=header["plan"],
        candidates=header.get("candidates", []),
        rates=header.get("rates", {}),
        bytes=ledger,
        raw_bytes=math.prod(shape) * dtype.itemsize,
        max_abs_error=achieved.get("max_abs_error"),
        max_rel_error=achieved.get("max_rel_error"),
        rmse=achieved.get("rmse"),
        nrmse=achieved.get("nrmse"),
        psnr=achieved.get("psnr"),
        outliers=achieved.get("outliers", 0),
        efficiency=coded / ideal if ideal else None,
        chunks=header["chunk_count"],
        recommender=_facts(header.get("recommender"), rank=int, held_out_rmse=float),
        keeps=header.get("keeps", {}),
        trained=_facts(header.get("trained"), id=str, embedded=bool, file_bytes=int, stream_bytes=int),
    )
