"""numcodecs: the codec `aezip` for Zarr v2, kerchunk and whatever else takes numcodecs codecs. Needs the extra `zarr`.

Each chunk is a frame; a model that serves all chunks stands in the codec's configuration.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray, ensure_ndarray, ndarray_copy

from aezip.archive.frames import check_bound, decode_frame, encode_frame
from aezip.archive.models import Model
from aezip.archive.train import train as train_model
from aezip.array.admission import admissible
from aezip.array.bounds import Absolute, Bound, Lossless, RangeRelative, bound_from_json
from aezip.core.errors import CorruptFile, InvalidInput

_BELOW = 1.0 - 1e-12  # a bound made of a range is rounded down
_FORTRAN = b"F"  # before the frame of a chunk whose memory is in that order: readers take decoded memory as it lies


class NoNumbers(InvalidInput, TypeError):  # noqa: N818
    """Values that are no numbers; a TypeError too, as numcodecs has it."""


class Aezip(Codec):  # type: ignore[misc,unused-ignore]
    """Arrays of numbers, within a guaranteed error.

    Parameters
    ----------
    bound
        What decoded values keep to, or the JSON form of it; None: lossless. Not relative to the range, which differs from
        chunk to chunk: `train` makes one that is not.
    preset
        Effort for each chunk where there is no model; "instant" trains nothing.
    model
        A `Model` for all chunks, or its bytes in base64.
    fill_value
        Comes back exactly, and nothing else as it.

    Raises
    ------
    InvalidInput
        If an option cannot be used.
    CorruptFile
        If the model is damaged.
    """

    codec_id = "aezip"

    def __init__(
        self,
        bound: Bound | Mapping[str, Any] | None = None,
        preset: str = "instant",
        model: Model | str | None = None,
        fill_value: Any = None,
    ) -> None:
        self.bound = as_bound(bound)
        self.preset, self.fill_value = preset, fill_value
        self.model = as_text(model)
        check_bound(self.bound)

    @cached_property
    def _model(self) -> Model | None:
        return from_text(self.model)

    def encode(self, buf: Any) -> bytes:
        """Return a chunk as a frame."""
        array = ensure_ndarray(buf)
        check_numbers(array.dtype)
        before = _FORTRAN if array.flags.f_contiguous and not array.flags.c_contiguous else b""
        return before + encode_frame(
            np.ascontiguousarray(array), self.bound, preset=self.preset, model=self._model, fill_value=self.fill_value
        )

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the chunk of a frame, in `out` if given."""
        data = ensure_bytes(ensure_contiguous_ndarray(buf))
        array = decode_frame(data.removeprefix(_FORTRAN), model=self._model)
        array = np.asfortranarray(array) if data.startswith(_FORTRAN) else array
        if out is None:
            return array
        ensure_contiguous_ndarray(out)  # objects and what is not in one run are refused
        place = ensure_ndarray(out)
        if place.shape == array.shape and place.dtype == array.dtype:  # whatever the orders of memory are
            np.copyto(place, array)
            return out
        return ndarray_copy(array, out)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration: JSON."""
        config = {"id": self.codec_id, "bound": self.bound.to_json(), "preset": self.preset}
        return {**config, "model": self.model, "fill_value": self.fill_value}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Aezip:
        """Make a codec of its configuration."""
        return cls(**{key: value for key, value in config.items() if key != "id"})

    def __repr__(self) -> str:
        """Return what makes an equal codec."""
        model = None if self.model is None else f"{self.model[:12]}…"
        return f"Aezip(bound={self.bound!r}, preset={self.preset!r}, model={model!r}, fill_value={self.fill_value!r})"

    def __eq__(self, other: object) -> bool:
        """Tell whether the configurations are the same."""
        return isinstance(other, Aezip) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        """Return a number that equal codecs share."""
        return hash((str(self.bound), self.preset, self.model))

    def __getstate__(self) -> dict[str, Any]:
        """Return the configuration: a loaded model does not travel."""
        return {key: value for key, value in vars(self).items() if key != "_model"}


def check_numbers(dtype: np.dtype[Any]) -> None:
    """Check that values are numbers.

    Raises
    ------
    NoNumbers
        If not.
    """
    if not admissible(dtype):
        raise NoNumbers(f"values of type {dtype} are no numbers: choose another codec for them")


def as_bound(given: Bound | Mapping[str, Any] | None) -> Bound:
    """Return a bound that was given as itself or in its JSON form."""
    if given is None:
        return Lossless()
    if not isinstance(given, Mapping):
        return given
    try:
        return bound_from_json(dict(given))
    except CorruptFile as error:
        raise InvalidInput(f"the bound {dict(given)} is not understood: {error}") from error


def as_text(model: Model | str | None) -> str | None:
    """Return a model as text for a configuration."""
    return base64.b64encode(model.data).decode() if isinstance(model, Model) else model


def from_text(text: str | None) -> Model | None:
    """Return the model of a configuration.

    Raises
    ------
    CorruptFile
        If it is damaged.
    """
    if text is None:
        return None
    try:
        return Model(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise CorruptFile("the model in the codec's configuration is damaged: get another copy") from error


def trained(sample: Any, bound: Bound | None, **options: Any) -> tuple[Bound, Model]:
    """Return the bound for all chunks, and a model for them.

    Parameters
    ----------
    sample
        The array, or a sample of it of the same axes.
    bound
        A bound; one relative to the range becomes an absolute one, of the sample's range.
    options
        As in `aezip.train`.
    """
    asked = Lossless() if bound is None else bound
    if isinstance(asked, RangeRelative):
        if asked.per_feature:
            raise InvalidInput("a bound by feature is of whole arrays: give one bound for all")
        values = np.asarray(sample)
        finite = values[np.isfinite(values)].astype(np.float64)
        span = float(finite.max() - finite.min()) if finite.size else 0.0
        if not span > 0:
            raise InvalidInput("the sample has no range: give an absolute bound")
        asked = Absolute(asked.value * span * _BELOW)
    check_bound(asked)
    return asked, train_model(sample, bound=asked, **{"preset": "fast", **options})


def train(sample: Any, bound: Bound | None = None, **options: Any) -> Aezip:
    """Return a codec with a model trained on a sample of an array; see `trained`."""
    found, model = trained(sample, bound, **options)
    return Aezip(found, model=model, fill_value=options.get("fill_value"))
