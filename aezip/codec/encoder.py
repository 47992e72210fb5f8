"""The pipeline that encodes: one array to header and streams; `decoder` is the way back. Knows nothing of files.

array -> admit (dtype, specials) -> grid (bound) -> plan (layout, network) -> chunks
chunk -> specials -> mask            -> zstd
-> plan     -> codes, residual -> rANS -> zstd
-> decode, cast, check every value -> outliers -> zstd
-> sha256 of the decoded chunk
"""

from __future__ import annotations

import gc
import math
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admit, native, parse_dtype
from aezip.array.bounds import Bound, Lossless, RangeRelative, Tolerance, resolve
from aezip.array.checking import violations
from aezip.array.layout import Chunks, Piece, cut
from aezip.array.metrics import Accumulator, Metrics
from aezip.array.safeguards import Safeguards
from aezip.array.specials import Specials
from aezip.array.statistics import Statistics, measure
from aezip.array.undeclared import undeclared
from aezip.core.errors import FillWarning, InvalidInput
from aezip.core.parallel import within
from aezip.core.progress import Progress, ProgressEvent
from aezip.core.types import Array, Mask
from aezip.entropy.frames import pack
from aezip.plans.autoencoder import variants
from aezip.plans.base import FRAMES, PLAIN, ROWS, Coded, Plan
from aezip.plans.bytes import BytesPlan
from aezip.plans.context.channels import Companion
from aezip.plans.trained import TrainedPlan
from aezip.quantize.choose_grids import grids_for, native_steps
from aezip.quantize.find_narrow import grids_for_narrow
from aezip.quantize.grid import Grid, LinearGrid
from aezip.search import reuse
from aezip.search import suited as unsuited
from aezip.search.choice import Choice, Wish
from aezip.search.choose import choose
from aezip.search.presets import PRESETS
from aezip.search.sample import Sample, dropped_out
from aezip.search.with_codes import parse_codes

from . import outliers
from .companions import Known, numbers
from .decoder import digest_of, restored_chunk
from .mask import pack_mask

CHUNK_VALUES = 1 << 20
CHUNK_VALUES_CONTEXT = 1 << 22  # context never crosses a chunk: larger ones predict better
CHUNK_BYTES_PLAIN = 1 << 24
SAMPLE_VALUES = 1 << 21
LISTED = 4  # candidates that the header names
DEVICES = ("auto", "cpu", "cuda")
TIGHTENED = 4  # times that the steps are shrunk for a PSNR, before values are stored exactly
EXACT_MEAN = 1.0 - 1e-9  # of a mean square: more than its sum in float64 is rounded by

Estimating = Callable[[Array, Mask, Progress], tuple[bytes, dict[str, float]]]  # of values, some of them missing


@dataclass(frozen=True)
class EncodedChunk:
    """The streams of a chunk, each one zstd frame, and the sha256 of what it decodes to."""

    segments: dict[str, bytes]
    digest: bytes


class PlanFailed(Exception):  # noqa: N818 - it never leaves the package
    """The plan that was chosen cannot encode a chunk: another has to."""


class ArrayEncoder:
    """Encode one array.

    Parameters
    ----------
    array
        Any array aezip takes; a memory map stays one.
    bound
        What the decoded values must keep to.
    narrow
        As in `admit`.
    name, fill_value, valid_range, preset, seed, device, variant, codes, progress
        As in `aezip.compress`.
    recommend
        What makes a stream of estimates from a ratings matrix, and tells what the header is to say of it.
    trained
        A model to use in place of training.
    reference
        What the header says of that model; it is left out of the file if `embedded` is false there.
    start
        A model whose plan is trained on.
    shared
        What is trained is to serve other arrays as well.
    threads
        On which a sample is coded while a plan is chosen; nothing that is encoded depends on them.

    Raises
    ------
    InvalidInput
        If the array or an option cannot be used.
    """

    def __init__(
        self,
        array: Any,
        bound: Bound,
        *,
        name: str = "",
        narrow: str | None = None,
        fill_value: Any = None,
        valid_range: Any = None,
        preset: str = "balanced",
        seed: int = 0,
        device: str = "auto",
        variant: str = "deep",
        codes: bool | int = False,
        recommend: Estimating | None = None,
        trained: TrainedPlan | None = None,
        reference: dict[str, Any] | None = None,
        start: TrainedPlan | None = None,
        shared: bool = False,
        safeguards: Safeguards | None = None,
        threads: int = 1,
        progress: Callable[[ProgressEvent], None] | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise InvalidInput(f"unknown preset {preset!r}: use one of {', '.join(PRESETS)}")
        if device not in DEVICES:
            raise InvalidInput(f"unknown device {str(device)[:40]!r}: use one of {', '.join(DEVICES)}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise InvalidInput(f"the seed {str(seed)[:40]!r} is no whole number: give one")
        self.variant = variants.check(variant)
        self.name = name
        self.codes = parse_codes(codes)
        if isinstance(codes, int) and not isinstance(codes, bool) and variants.insisted(variant):
            raise InvalidInput(f"the variant {variant!r} has a width of its own: leave --width (codes=) or --variant away")
        if not PRESETS[preset].trains and (codes or recommend or shared or start is not None or variants.insisted(variant)):
            raise InvalidInput("the preset instant trains nothing: codes, variants, models and recommendations need fast or more")
        self._recommend = recommend
        self._estimates: tuple[bytes, dict[str, float]] | None = None  # recommender, and what the header says of it
        self.preset = preset
        self.seed = int(seed)
        self.device, self.threads = device, threads
        self.asked = bound
        self._admitted = admit(array, fill_value, valid_range, narrow)
        self.values = self._admitted.values
        self._narrow = self._admitted.narrow
        if self._narrow is not None and (trained is not None or start is not None or shared):
            raise InvalidInput(
                f"arrays of {self._narrow.name} share no model: convert them to float32 first, or leave the model away"
            )
        self._safeguards = safeguards or Safeguards()
        if self._safeguards:
            kind = parse_dtype(self._admitted.dtype) if self._narrow is None else np.dtype(np.float32)
            self._safeguards.check(self._admitted.shape, kind)
        if self._safeguards.places is not None and isinstance(bound, Lossless) and self.values.size:
            bound = self.asked = self._safeguards.bound(self.values.dtype.itemsize)
        self.bound = Lossless() if self._admitted.lossless_only else bound
        self._wide = None if isinstance(self.bound, Lossless) else self._narrow  # else bits are coded as integers
        self._trained, self._reference, self._from, self._shared = trained, reference, start, shared
        for model in (trained, start):
            if model is not None and self.values.size:
                dtype = parse_dtype(self._admitted.dtype)
                model.check(self._admitted.shape, dtype, bound, lossless_only=self._admitted.lossless_only)
        self._progress = Progress(progress)
        self._lock = threading.Lock()
        self._errors: dict[int, Accumulator] = {}
        self._outliers = 0
        self._apart = False  # decoded values had to be moved off what stands for missing ones
        self._warned = False
        self._ideal: dict[int, float] = {}
        self._shrink = 0.998  # of the step for a PSNR, which is an average: rounding errors fluctuate
        self._tightened = 0
        self.shared: dict[str, bytes] = {}
        self._beside: list[Known] = []
        self._companions: dict[Companion, Known] = {}
        self._kept: Array | None = None

    @property
    def plain(self) -> bool:
        """Whether the values are numbers that other arrays may be predicted from, and from others."""
        own = parse_dtype(self._admitted.dtype)
        good = (
            own.kind in "iuf"
            and self._admitted.masking is None
            and self._narrow is None
            and self.values.shape == self._admitted.shape
        )
        return good and self._trained is None and self._from is None and not self.codes and not variants.insisted(self.variant)

    def keep(self) -> None:
        """Keep what the chunks decode to."""
        self._kept = np.empty(self.values.shape, self.values.dtype.newbyteorder("="))

    def known(self) -> Known | None:
        """Return what was kept, once all chunks are encoded; it is let go of here."""
        values, self._kept = self._kept, None
        patterns = self._specials.patterns[: self._specials.fills]
        fills = np.frombuffer(b"".join(patterns), self.values.dtype.newbyteorder("<")) if patterns else None
        return None if values is None else Known(self.name, values, fills)

    def place_beside(self, known: Sequence[Known]) -> None:
        """Take arrays that are decoded before this one."""
        made = {one.companion(): one for one in known}
        self._companions = {companion: one for companion, one in made.items() if companion is not None}
        self._beside = list(self._companions.values())

    def prepare(self) -> None:
        """Scan the array, choose and train the plan."""
        self._progress("scan", 0, 1, None, "reading")
        if self._wide is not None:
            self.values = self._widened(self._admitted.values)
        values = self.values
        self.statistics: Statistics = measure(values, self._admitted.fill, self._admitted.valid, trailing=self._admitted.trailing)
        self._specials = self.statistics.specials
        self.tolerance: Tolerance = self._tolerance()
        self._warn_of_fill()
        if self._recommend is not None and self._estimates is None:
            x = native(self.values[:])
            self._estimates = self._recommend(x, self._specials.masked(self._specials.classify(x)), self._progress)
        self.tried: list[tuple[str, float]] = []
        self._chunks = Chunks(0, 1)  # until the plan is known
        if self.codes and not values.size:
            raise InvalidInput("an empty array has no codes: leave --codes and --width (codes=) away")
        if not values.size:
            self._choice: Choice[Plan] = Choice(BytesPlan(False), None, 0.0)
        elif self._trained is not None:
            self._choice = reuse.choice(self._trained, values, self.statistics, self.tolerance, self._shrink)
            self._pack_model()
            self._choice = self._choice if self.codes else self._suited()
        else:
            grids = self._grids()
            if self._wide is not None and grids == (None, []):
                self._as_bits()  # the bound is below what values of the type differ by
                grids = self._grids()
            self._choice = self._select(*grids)
        self._cut(self._choice.plan)
        self._pack_model()

    def _grids(self) -> tuple[Grid | None, list[Grid]]:
        """Return the grids that suit the array; none where the search for them fails: plain bytes need none."""
        try:
            if self._wide is not None:
                return grids_for_narrow(self.values, self.statistics, self.tolerance, self._shrink, self._wide)
            return grids_for(self.values, self.statistics, self.tolerance, self._shrink)
        except Exception as error:
            self._dropped("grids", error)
            return None, []

    def _widened(self, values: Array) -> Array:
        """Return the numbers that values stand for."""
        return values if self._wide is None else self._wide.widen(native(values))

    def _dropped(self, name: str, error: BaseException) -> None:
        """Remember what dropped out, and why."""
        self.tried.append(dropped_out(name, error))

    def _warn_of_fill(self) -> None:
        """Warn where a bound relative to the range would lose everything beside a fill value that nobody declared."""
        share = self.bound.share_of_range
        if share is None or not self.values.size or self._warned:
            return
        by_column = isinstance(self.bound, RangeRelative) and self.bound.per_feature
        found = undeclared(self._sample(), share, by_column=by_column)
        if found is not None:
            self._warned = True
            warnings.warn(
                f"{self.name or 'the array'}: {found:g} looks like a fill value and widens the range, and with it the error "
                "of all other values: declare it (--fill-value, fill_value=) or give an absolute bound",
                FillWarning,
                stacklevel=2,
            )

    def _pack_model(self) -> None:
        choice = self._choice
        self.plan, self.grid, self._model = choice.plan, choice.grid, choice.model
        inside = bool(choice.model_bytes) and not self.by_reference
        self.shared = {"model": pack(choice.model_bytes, 19)} if inside else {}
        if self._estimates is not None:
            self.shared["recommender"] = pack(self._estimates[0], 19)

    @property
    def by_reference(self) -> bool:
        """Whether the file refers to a model that is not in it."""
        outside = self._reference is not None and not self._reference["embedded"]
        return outside and self._trained is not None and self.plan is self._trained.plan

    @property
    def narrow(self) -> bool:
        """Whether the array is of a type that NumPy has not."""
        return self._narrow is not None

    @property
    def chosen(self) -> Choice[Plan]:
        """The plan, after `prepare`."""
        return self._choice

    @property
    def dtype(self) -> str:
        """Type of the array as the header names it."""
        return self._admitted.dtype

    def _suited(self) -> Choice[Plan]:
        """Return the model's plan, or one without training that is smaller on a sample."""
        assert self.grid is not None

        def encoded(piece: Piece) -> int:
            coded = self._code(piece.x, self._specials.classify(piece.x), piece.start)
            return sum(len(pack(data, 3)) for data in coded.streams.values())

        sample = self._sample_on(self._sample(), *unsuited.grids_like(self.grid))
        try:
            other = unsuited.untrained(sample, encoded, sum(map(len, self.shared.values())))
        except Exception as error:
            other = None
            sample.tried.append(dropped_out("plans without the model", error))
        self.tried += sample.tried
        return self._choice if other is None else other

    def _sample_on(self, pieces: list[Piece], fine: Grid | None, wholes: list[Grid]) -> Sample:
        share = self.values.size / max(1, sum(p.x.size for p in pieces))
        preset, contexts = PRESETS[self.preset], self._context_sample()
        about: dict[str, Any] = {"threads": self.threads, "companions": tuple(self._companions)}
        about["any_extent"] = self._shared or self._from is not None
        return Sample(pieces, share, contexts, fine, wholes, preset, self.seed, self.device, self._progress, **about)

    def _select(self, fine: Grid | None, wholes: list[Grid]) -> Choice[Plan]:
        pieces = self._sample()
        if isinstance(fine, LinearGrid) and self.tolerance.kind == "absolute" and self._wide is None:
            together = np.concatenate([p.x for p in pieces])
            keep = np.concatenate([np.ones(p.x.shape, np.bool_) if p.masked is None else ~p.masked for p in pieces])
            try:
                native_grid = native_steps(together, keep, fine)
            except Exception as error:
                native_grid = None
                self._dropped("steps of the data", error)
            wholes = wholes if native_grid is None else [native_grid, *wholes]
        sample = self._sample_on(pieces, fine, wholes)
        start = None
        if self._from is not None:
            start = reuse.choice(self._from, self.values, self.statistics, self.tolerance, self._shrink)
        choice = choose(sample, Wish(self.codes, self.variant, self._shared, start))
        self.tried += sample.tried
        del sample, pieces
        if PRESETS[self.preset].trains:
            gc.collect()  # networks and their optimizers are circles: what they hold would stay while chunks are encoded
        return choice

    def _sample(self) -> list[Piece]:
        """Return evenly spaced runs of the outer axis, about SAMPLE_VALUES values."""
        values = self.values
        if values.size <= SAMPLE_VALUES:
            return [self._piece(*bounds) for bounds in cut(values.shape, 1, CHUNK_VALUES)]
        inner = values.size // values.shape[0]
        together = max(1, min(64, values.shape[0], SAMPLE_VALUES // 4 // inner))  # a run of large frames is short
        chunks = cut(values.shape, together, SAMPLE_VALUES // 4)
        count = len(chunks)
        wanted = min(count, max(1, round(SAMPLE_VALUES * count / values.size)))
        index = sorted({round(i * (count - 1) / max(1, wanted - 1)) for i in range(wanted)})
        return [self._piece(*chunks.bounds(i)) for i in index]

    def _context_sample(self) -> list[Piece]:
        """Return one or two chunks of a context plan."""
        chunks = cut(self.values.shape, 1, CHUNK_VALUES_CONTEXT)
        return [self._piece(*chunks.bounds(i)) for i in sorted({0, len(chunks) // 2})]

    def _piece(self, start: int, stop: int) -> Piece:
        x = native(self.values[start:stop])
        classes = self._specials.classify(x)
        beside = numbers(self._companions, self._beside, start, stop)
        return Piece(x, classes != 0 if classes.any() else None, start, beside)

    def _cut(self, plan: Plan) -> None:
        """Cut the array into chunks that suit the plan."""
        targets = {ROWS: CHUNK_VALUES, FRAMES: CHUNK_VALUES_CONTEXT, PLAIN: CHUNK_BYTES_PLAIN // self.values.dtype.itemsize}
        block, target = plan.block, targets[plan.chunk]
        self._chunks = cut(self.values.shape, block, target) if self.values.size else Chunks(0, 1)

    @property
    def chunk_count(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the array."""
        return int(self.values.size) * self._admitted.values.dtype.itemsize

    @property
    def _listed_specials(self) -> Specials:
        """What the header lists: plain bytes hold all values themselves, only what fills is of interest then."""
        if not self.plan.gridless:
            return replace(self._specials, apart=self._apart)
        return replace(self._specials, patterns=self._specials.patterns[: self._specials.fills])

    def _tolerance(self) -> Tolerance:
        """Return what the bound allows; less where the errors allowed at each place are mostly less."""
        found = resolve(self.bound, self.statistics)
        if self._safeguards.places is None or found.kind != "absolute" or found.absolute.ndim or not found.absolute > 0:
            return found
        chosen = self._safeguards.bound(self.values.dtype.itemsize, float(found.absolute))
        return replace(found, absolute=np.array(chosen.value))

    def fall_back(self, failure: BaseException | None = None) -> bool:
        """Go over to plain bytes where the plan is larger than those, or failed; tell whether that changes anything."""
        if self.codes or self.plan == BytesPlan(False):
            return False
        if failure is not None:
            self._dropped(self.plan.describe(), failure)
        self._choice = Choice(BytesPlan(False), None, float(self.raw_bytes))
        self._forget()
        if self._wide is not None:
            self._as_bits()
        self._cut(self._choice.plan)
        self._pack_model()
        return True

    def _as_bits(self) -> None:
        """Go over to the bits of a narrow type, as integers."""
        self._wide, self.bound, self.values = None, Lossless(), self._admitted.values
        self.statistics = measure(self.values)
        self._specials, self.tolerance = self.statistics.specials, self._tolerance()

    def tighten(self) -> bool:
        """Shrink the steps if the PSNR asked for was missed, in the end to nothing; tell whether all is to be encoded again."""
        if self.tolerance.kind != "psnr":
            return False
        achieved = self._achieved().rmse ** 2
        if achieved <= self.tolerance.mse * EXACT_MEAN:
            return False
        self._tightened += 1
        self._shrink *= 0.98 * math.sqrt(self.tolerance.mse / achieved)
        if self._tightened > TIGHTENED or not self._shrink > 0.0:
            self.bound, self._wide = Lossless(), None  # rounding to the type, or of float64, is more than the bound allows
        self._forget()
        self.prepare()
        return True

    def _forget(self) -> None:
        """Forget the chunks that were encoded."""
        self._errors, self._outliers, self._ideal, self._apart = {}, 0, {}, False

    def _achieved(self) -> Metrics:
        whole = Accumulator()
        for index in sorted(self._errors):
            whole.merge(self._errors[index])
        return whole.result()

    def release(self) -> None:
        """Let go of what only encoding needs."""
        self._choice = Choice(self._choice.plan, None, self._choice.size)
        self._beside, self._companions = [], {}
        self.values = self._admitted.values

    def count_wrong(self, index: int, decoded: npt.NDArray[Any]) -> int:
        """Return how many values of a decoded chunk break the bound."""
        start, stop = self._chunks.bounds(index)
        x, y = (self._widened(native(part)) for part in (self._admitted.values[start:stop], admit(decoded).values))
        classes = self._specials.classify(x)
        return int(self._wrong(x, y, classes, start).sum())

    def _wrong(self, x: Array, y: Array, classes: npt.NDArray[np.uint8], start: int) -> npt.NDArray[np.bool_]:
        """Return which decoded values are not as they were promised."""
        wrong = violations(x, y, self.tolerance, classes != 0) | self._specials.confused(classes, y)
        return wrong | self._safeguards.broken(x, y, start) if self._safeguards else wrong

    def encode_chunk(self, index: int) -> EncodedChunk:
        """Encode one chunk, check every value, store what breaks the bound exactly.

        Raises
        ------
        PlanFailed
            If the plan cannot encode it.
        """
        try:
            return self._encoded(index)
        except Exception as error:
            raise PlanFailed from error

    def _encoded(self, index: int) -> EncodedChunk:
        start, stop = self._chunks.bounds(index)
        x = native(self.values[start:stop])
        classes = self._specials.classify(x)
        streams, decoded, ideal = self._code(x, classes, start)
        if self._wide is not None:
            decoded = self._wide.rounded(decoded)
        raw, lossy = dict(streams), self.tolerance.kind != "lossless" and not self.plan.gridless
        moved = lossy and self._specials.separate(classes, decoded)
        self._specials.restore(classes, decoded)
        wrong = self._wrong(x, decoded, classes, start)
        raw["outliers"] = outliers.pack(x, wrong)
        decoded[wrong] = x[wrong]
        raw["mask"] = b"" if self.plan.gridless else pack_mask(classes)
        errors = Accumulator()
        errors.update(x, decoded, self._specials.masked(classes))
        with self._lock:
            self._apart |= moved
            self._errors[index] = errors
            self._ideal[index] = ideal
            self._outliers += int(wrong.sum())
        if self._kept is not None:
            self._kept[start:stop] = decoded
        bits = decoded if self._wide is None else self._wide.narrow(decoded)
        digest = digest_of(restored_chunk(bits, self._admitted.shape, self._admitted.dtype))
        level = 3 if self.plan.packed else PRESETS[self.preset].zstd
        segments = {name: pack(data, level) if data else b"" for name, data in raw.items()}
        return EncodedChunk(segments, digest)

    def _code(self, x: npt.NDArray[Any], classes: npt.NDArray[np.uint8], start: int) -> Coded:
        """Return a chunk's raw streams, the chunk as decoded, and the bytes an ideal entropy coder would need."""
        grid = None if self.grid is None or self.plan.gridless else self.grid.at(start)
        masked, workers = classes != 0 if classes.any() else None, within(self.threads, self.chunk_count)
        beside = numbers(self.plan.companions, self._beside, start, start + len(x))
        return self.plan.encode(grid, self.plan.among(self._model, beside), self._choice.encoder, x, masked, workers)

    def _reported(self, ideal: float) -> dict[str, float | int]:
        """Return what the header says of the errors; the largest one exactly, means to nine digits."""
        found = {**self._achieved().to_json(), "outliers": self._outliers, "ideal_bytes": round(ideal) or None}
        for name in ("rmse", "nrmse", "psnr"):
            value = found[name]
            found[name] = None if value is None else float(f"{value:.9g}")
        return {name: value for name, value in found.items() if value is not None}

    def header(self) -> dict[str, Any]:
        """Return the array's header, after all chunks were encoded."""
        dtype = self._admitted.dtype
        ideal = math.fsum(self._ideal.values())
        grid = None if self.grid is None else self.grid.to_json()
        return {
            "name": self.name,
            "shape": list(self._admitted.shape),
            "dtype": dtype,
            **({} if self._narrow is None else {"narrow": self._narrow.name}),
            **({} if self._wide is None else {"wide": True}),
            "bound": self.asked.to_json(),
            "chunk_length": self._chunks.length,
            "chunk_count": len(self._chunks),
            "chunk_values": self._chunks.length * math.prod(self.values.shape[1:]) if len(self._chunks) else 0,
            "specials": self._listed_specials.to_json(),
            **({"keeps": self._safeguards.to_json()} if self._safeguards else {}),
            **({} if self._admitted.masking is None else {"masked": self._admitted.masking.to_json()}),
            "grid": grid,
            "plan": self.plan.to_json(),
            "achieved": self._reported(ideal),
            "rates": {k: round(v, 5) for k, v in self._choice.rates.items()},
            "preset": self.preset,
            "seed": self.seed,
            "candidates": _shortened(self.tried),
            **({} if self._estimates is None else {"recommender": self._estimates[1]}),
            **({"trained": self._reference} if self._trained is not None and self.plan is self._trained.plan else {}),
        }


def _shortened(tried: list[tuple[str, float]]) -> list[str]:
    """Return the candidates with the fewest bytes, in the order tried; the best with codes among them."""
    lines = dict.fromkeys(candidate_line(*one) for one in tried if math.isfinite(one[1]))
    ranked = sorted(lines, key=lambda line: float(line.rpartition(" ")[2]))
    dropped = dict.fromkeys(candidate_line(*one) for one in tried if not math.isfinite(one[1]))
    kept = {*ranked[:LISTED], *[line for line in ranked if " codes" in line][:1], *list(dropped)[:LISTED]}
    return [line for line in dict.fromkeys(candidate_line(*one) for one in tried) if line in kept]


def candidate_line(name: str, size: float) -> str:
    """Return what is said of a candidate: what it is and its bytes, or why it dropped out."""
    return f"{name}: {size:.0f}" if math.isfinite(size) else name
