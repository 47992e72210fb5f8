"""Zarr v3: the array-to-bytes codec `aezip`. Needs the extra `zarr`; for v2 see `aezip.integrations.numcodecs`.

`zarr.create_array(..., serializer=Aezip(Absolute(0.01)), compressors=None, filters=None)`. Each chunk is a frame; a model for
all of them, which `train` makes, stands in the array's metadata, so the store stands alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.common import parse_named_configuration

from aezip.archive.frames import check_bound, decode_frame, encode_frame
from aezip.archive.models import Model
from aezip.core.errors import CorruptFile

from .numcodecs import as_bound, as_text, check_numbers, from_text, trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aezip.array.bounds import Bound

_NAME = "aezip"


@dataclass(frozen=True, init=False)
class Aezip(ArrayBytesCodec):  # type: ignore[misc,unused-ignore]
    """Chunks of numbers, within a guaranteed error; parameters as in `aezip.integrations.numcodecs.Aezip`."""

    is_fixed_size = False

    bound: Bound
    preset: str
    model: str | None = field(repr=False)
    fill_value: Any

    def __init__(
        self,
        bound: Bound | Mapping[str, Any] | None = None,
        preset: str = "instant",
        model: Model | str | None = None,
        fill_value: Any = None,
    ) -> None:
        asked = as_bound(bound)
        check_bound(asked)
        for name, value in (("bound", asked), ("preset", preset), ("model", as_text(model)), ("fill_value", fill_value)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Aezip:
        """Make a codec of its metadata."""
        _, found = parse_named_configuration(data, _NAME, require_configuration=False)
        return cls(**(found or {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata of the codec."""
        config = {"bound": self.bound.to_json(), "preset": self.preset}
        given = {"model": self.model, "fill_value": self.fill_value}
        return {"name": _NAME, "configuration": {**config, **{key: value for key, value in given.items() if value is not None}}}

    @cached_property
    def _loaded(self) -> Model | None:
        return from_text(self.model)

    def validate(self, *, dtype: Any, **_: Any) -> None:
        """Check that an array is of numbers.

        Raises
        ------
        InvalidInput
            If not.
        """
        check_numbers(np.dtype(dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else dtype))

    def _encoded(self, values: np.ndarray[Any, Any]) -> bytes:
        return encode_frame(values, self.bound, preset=self.preset, model=self._loaded, fill_value=self.fill_value)

    def _decoded(self, data: bytes, spec: Any) -> np.ndarray[Any, Any]:
        array = decode_frame(data, model=self._loaded)
        dtype = spec.dtype.to_native_dtype()
        if array.shape != spec.shape or array.dtype.newbyteorder("=") != dtype.newbyteorder("="):
            raise CorruptFile(f"a chunk holds {array.dtype} {array.shape}, not {dtype} {spec.shape}: it belongs elsewhere")
        return array.astype(dtype, copy=False)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        array = await asyncio.to_thread(self._decoded, chunk_bytes.to_bytes(), chunk_spec)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(array)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        data = await asyncio.to_thread(self._encoded, np.ascontiguousarray(chunk_array.as_numpy_array()))
        return chunk_spec.prototype.buffer.from_bytes(data)

    def compute_encoded_size(self, _input_byte_length: int, _chunk_spec: Any) -> int:
        """Raise NotImplementedError: it depends on the values."""
        raise NotImplementedError


def train(sample: Any, bound: Bound | None = None, **options: Any) -> Aezip:
    """Return a codec with a model trained on an array or a sample of it, which stands in the codec's configuration.

    Parameters
    ----------
    sample, bound, options
        As in `aezip.integrations.numcodecs.trained`.

    Raises
    ------
    InvalidInput
        If no network pays on the sample: `Aezip(bound)` then does without.
    """
    found, model = trained(sample, bound, **options)
    return Aezip(found, model=model, fill_value=options.get("fill_value"))
