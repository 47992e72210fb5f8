"""Arrays as frames and back: what a chunk of a Zarr array is. A model may stand beside all frames that it serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.bounds import Bound, Lossless
from aezip.codec.decoder import ArrayDecoder, digest_of
from aezip.codec.encoder import ArrayEncoder
from aezip.container.frame import DIGEST, Frame, build
from aezip.core.errors import CorruptFile, InvalidInput, meaningful
from aezip.core.progress import Progress
from aezip.core.surroundings import undisturbed
from aezip.plans.context import builtin

from .models import Model
from .writing import encode

_USUAL = {"bound": {"kind": "lossless"}}  # it stands in the configuration of what keeps the frame


class _Builder:
    """Takes what an encoder gives, as a `Writer` does."""

    def __init__(self, base: dict[str, Any] | None) -> None:
        self.base, self.data = base, b""
        self._chunks: list[tuple[dict[str, bytes], bytes]] = []

    def begin(self, name: str) -> None:
        self._chunks = []

    def drop(self) -> None:
        self._chunks = []

    def add_chunk(self, segments: dict[str, bytes], digest: bytes) -> None:
        self._chunks.append((segments, digest))

    def end(self, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        base = self.base if "trained" in header else None
        kept = {**header, **_USUAL, "plan": builtin.by_number(header["plan"])}
        self.data = build({**kept, "model": True} if base else kept, shared, self._chunks, {**_USUAL, **(base or {})})


@undisturbed
def encode_frame(
    array: Any,
    bound: Bound | None = None,
    *,
    preset: str = "instant",
    seed: int = 0,
    model: Model | None = None,
    fill_value: Any = None,
    threads: int = 1,
) -> bytes:
    """Return an array as a frame: small, without HDF5, complete but for the model that serves it.

    Parameters
    ----------
    array
        As in `aezip.compress`; masked arrays are not taken.
    bound, preset, seed, fill_value
        As in `aezip.compress`. A bound relative to the range is refused: each frame would have its own.
    model
        Used in place of training; decoding needs it too.
    threads
        Nothing depends on them.

    Raises
    ------
    InvalidInput
        If array, bound or an option cannot be used.
    ModelMismatch
        If the model is for other arrays.
    """
    asked = Lossless() if bound is None else bound
    check_bound(asked)
    if isinstance(array, np.ma.MaskedArray):
        raise InvalidInput("a frame holds no mask: fill the array, and give the fill value")
    trained = {} if model is None else {"trained": model.trained, "reference": model.reference(embedded=False)}
    encoder = ArrayEncoder(array, asked, preset=preset, seed=seed, fill_value=fill_value, threads=threads, **trained)  # type: ignore[arg-type]
    builder = _Builder(None if model is None else model.trained.header)
    encode(encoder, builder, "", threads, Progress(None))
    return builder.data


def check_bound(bound: Bound) -> None:
    """Check that a bound means the same for every frame of an array.

    Raises
    ------
    InvalidInput
        If it depends on the range of the values.
    """
    if bound.share_of_range is not None or bound.to_json()["kind"] == "psnr":
        raise InvalidInput(
            "a bound relative to the range differs from chunk to chunk: give an absolute one, or train() on a sample"
        )


@undisturbed
def decode_frame(data: bytes, *, model: Model | None = None) -> npt.NDArray[Any]:
    """Return the array of a frame.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If it is damaged, hostile, or of a later version.
    ModelMismatch
        If it needs a model that is not given.
    """
    base = {} if model is None else model.trained.header
    frame = Frame(data, {**_USUAL, **base})
    frame.header["plan"] = builtin.by_name(frame.header["plan"])
    streams = frame.shared()
    if frame.header.get("model") is True and model is not None:
        streams["model"] = model.trained.model_bytes
    with meaningful("the header of the frame"):
        decoder = ArrayDecoder(frame.header, streams)
    parts = [_chunk(decoder, frame, number) for number in range(decoder.chunk_count)]
    if not parts:
        return np.empty(decoder.shape, decoder.dtype)
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole if decoder.shape else whole[0, ...]


def _chunk(decoder: ArrayDecoder, frame: Frame, number: int) -> npt.NDArray[Any]:
    with meaningful(f"chunk {number}"):
        out = decoder.decode_chunk(number, frame.segments(number))
    if digest_of(out)[:DIGEST] != frame.digests[number]:
        raise CorruptFile("the frame does not match its digest: it is damaged, or was made with another model")
    return out
