"""What is let in: dtypes, byte order, masks, special values, and the statistics of the rest.

Turns any array that aezip takes into a plain numeric view and back, bit for bit.  Values that no arithmetic may touch
(NaN and its payloads, infinities, -0.0, fill values) are *specials*: a small table of bit patterns and a class for
every value.  Knows nothing of layout, networks or files; works in blocks, so that a memory map stays one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import CorruptFile, InvalidInput
from aezip.core.fixed import MAX_AXES, MAX_VALUES

from .missing import ValidRange, values_of_fill
from .narrow import NARROW, Narrow, narrow_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .masked import Masking

_PLAIN = re.compile(r"[<>|](?:f[248]|[iu][1248]|c8|c16|b1)|[<>][mM]8(?:\[[1-9]?[0-9]{0,8}[A-Za-z]{1,2}\])?")


@dataclass(frozen=True)
class Admitted:
    """An array that was let in.

    Attributes
    ----------
    shape : tuple of int
        Original shape, ``()`` for a 0-d array.
    dtype : str
        Original dtype with byte order, as ``numpy.dtype.str`` writes it.
    values : ndarray
        View of the input wherever possible, of type f2 f4 f8, i1 to i8, u1 to u8, byte order still that of the
        input; complex has a trailing axis (real, imaginary), bool is u1, dates are i8, 0-d has shape (1,).
    lossless_only : bool
        The bound is to be ignored: bool and dates.
    fill : ndarray or None
        The fill values to mask, native byte order, shape (count,).
    valid : ValidRange or None
        The declared range: what lies outside is masked.
    masking : Masking or None
        How masked elements are stored, if it is a masked array; their pattern is among the fill values.
    narrow : Narrow or None
        The type of floats whose bits the values are.
    """

    shape: tuple[int, ...]
    dtype: str
    values: NDArray[Any]
    lossless_only: bool
    fill: NDArray[Any] | None = None
    valid: ValidRange | None = None
    masking: Masking | None = None
    narrow: Narrow | None = None

    @property
    def trailing(self) -> int:
        """How many last axes of `values` make up one axis of features: 2 for complex with features, else 1."""
        return 2 if "c" in self.dtype and self.values.ndim > 2 else 1


def parse_dtype(text: str) -> np.dtype[Any]:
    """Return the dtype of a header, refusing whatever `admit` would refuse.

    Raises
    ------
    CorruptFile
        If it is not a dtype that aezip writes.
    """
    if isinstance(text, str) and _PLAIN.fullmatch(text):
        try:
            return np.dtype(text)
        except TypeError:
            pass
    raise CorruptFile(f"the dtype {str(text)[:40]!r} in the header is none that aezip writes: get another copy")


def admissible(dtype: np.dtype[Any]) -> bool:
    """Tell whether `admit` takes arrays of a type."""
    return bool(_PLAIN.fullmatch(dtype.str)) and dtype.kind != "V"


def check_shape(shape: tuple[int, ...]) -> None:
    """Check that a file can hold an array of that shape: an axis of length 0 may hide absurd ones.

    Raises
    ------
    InvalidInput
        If not.
    """
    if len(shape) > MAX_AXES or math.prod(n for n in shape if n) > MAX_VALUES:
        raise InvalidInput(
            f"the shape {shape} is beyond what a file holds: {MAX_AXES} axes, 2^{MAX_VALUES.bit_length() - 1} "
            "values along all those that are not empty: reshape the array"
        )


def admit(array: ArrayLike, fill_value: Any = None, valid_range: Any = None, narrow: str | None = None) -> Admitted:
    """Take in an array without copying it, masked arrays and odd complex strides excepted.

    Parameters
    ----------
    array : array_like
        Floats of 2, 4, 8 bytes, integers, bool, complex of 8 or 16 bytes, datetime64, timedelta64; any shape,
        strides and byte order; of NumPy, or of another library that can make such an array.  Masked elements get a value
        of their own, the fill value where no other element has it.  Also bfloat16 and float8 of ml_dtypes, as their bits.
    fill_value : scalar or sequence of scalars, optional
        Values to mask: exact on return, kept out of range and training.
    valid_range : pair of numbers, optional
        Values outside are masked as well; None on one side: no limit there.
    narrow : str, optional
        The name of the type of `NARROW` whose bits unsigned integers are.

    Raises
    ------
    InvalidInput
        For any other type, or fill values or a range that do not suit the type.
    """
    plain, masking = _unmask(array)
    kind = narrow_of(plain.dtype) if narrow is None else NARROW[narrow]
    if kind is not None:
        if fill_value is not None or valid_range is not None:
            raise InvalidInput(f"arrays of {kind.name} take no fill value and no valid range: convert them to float32 first")
        plain = plain.view(kind.plain)
    dtype = plain.dtype
    check_shape(plain.shape)
    if not admissible(dtype):
        raise InvalidInput(
            f"arrays of type {_describe(dtype)} cannot be compressed: "
            "give a numeric array (float16/32/64, bfloat16, float8_e4m3fn, float8_e5m2, integers, bool, complex64/128, dates)"
        )
    fill = None if fill_value is None else values_of_fill(fill_value, dtype)
    if masking is not None and masking.pattern:
        stored = np.frombuffer(masking.pattern, _component(dtype))[:1].astype(_component(dtype).newbyteorder("="))
        fill = stored if fill is None else np.concatenate([stored, fill])
    return Admitted(
        plain.shape,
        dtype.str,
        _numeric(plain.reshape(1) if plain.ndim == 0 else plain),
        dtype.kind in "bmM",
        fill,
        None if valid_range is None else ValidRange.of(valid_range, dtype),
        masking,
        kind,
    )


def _unmask(array: ArrayLike) -> tuple[NDArray[Any], Masking | None]:
    """Return a plain ndarray, and how masked elements are stored in it if it was a masked array."""
    if type(array) is np.ndarray or type(array) is np.memmap:
        return array, None
    from .foreign import as_numpy  # files are read without
    from .masked import unmasked

    array = as_numpy(array)
    if isinstance(array, np.ma.MaskedArray):
        if not _PLAIN.fullmatch(array.dtype.str):
            if narrow_of(array.dtype) is not None:
                raise InvalidInput(f"arrays of {array.dtype} take no mask: convert them to float32 first")
            return np.asarray(array.data), None
        return unmasked(array)
    try:
        return np.asarray(array), None
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"the input is not an array of numbers ({str(error).splitlines()[0][:120]}): give one rectangular numeric array"
        ) from error


def _describe(dtype: np.dtype[Any]) -> str:
    names = {"O": "object", "U": "string", "S": "bytes", "V": "structured or void", "T": "string"}
    return names.get(dtype.kind, dtype.name)


def _component(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the plain numeric type that stands for `dtype`, in the same byte order."""
    if dtype.kind == "c":
        return np.dtype(f"{dtype.str[0]}f{dtype.itemsize // 2}")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind in "mM":
        return np.dtype(f"{dtype.str[0]}i8")
    return dtype


def _numeric(plain: NDArray[Any]) -> NDArray[Any]:
    """View as the plain numeric type; complex gets a trailing axis of two."""
    component = _component(plain.dtype)
    if plain.dtype.kind == "c":
        # A view by strides works whatever the strides of the input are, where `view` asks for contiguous pairs.
        return np.lib.stride_tricks.as_strided(
            plain.real.view(component), (*plain.shape, 2), (*plain.strides, component.itemsize), writeable=False
        )
    return plain if component == plain.dtype else plain.view(component)


def restore(values: NDArray[Any], shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return values, as `admit` gave them, in their original type; the inverse of `admit`.

    Parameters
    ----------
    values : ndarray
        Any byte order; as many values as the shape asks for (twice that for complex).
    shape : tuple of int
        Of the result.
    dtype : str
        Original dtype.

    Raises
    ------
    CorruptFile
        If dtype, shape and values do not fit together.
    """
    original = parse_dtype(dtype)
    component = _component(original)
    if values.dtype.newbyteorder("=") != component.newbyteorder("="):
        raise CorruptFile(f"values of type {values.dtype} do not make an array of {original}: get another copy")
    try:
        return np.ascontiguousarray(values, dtype=component).reshape(-1).view(original).reshape(shape)
    except ValueError as error:
        raise CorruptFile(f"{values.size} values do not fill an array of shape {shape}: get another copy") from error


def native(chunk: NDArray[Any]) -> NDArray[Any]:
    """Return the chunk C-contiguous and in native byte order, itself if it is so already."""
    return np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("="))
