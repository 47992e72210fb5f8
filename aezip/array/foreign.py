"""Arrays of other libraries as NumPy's: PyTorch, pandas, xarray, dask, and whatever keeps `__array__` or DLPack.

None of them is imported: a tensor or a frame tells by itself what it is.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from aezip.core.errors import InvalidInput

from .narrow import NARROW

MOST_SAID = 120  # letters of another library's words


def as_numpy(data: Any) -> Any:
    """Return what stands for an array in NumPy: an ndarray, a masked array where values are missing, or what it was.

    Raises
    ------
    InvalidInput
        If its own library cannot make an array of it.
    """
    if isinstance(data, np.ndarray):
        return data
    try:
        return _converted(data)
    except InvalidInput:
        raise
    except Exception as error:  # whatever another library raises
        said = " ".join(str(error).split())[:MOST_SAID]
        raise InvalidInput(
            f"{type(data).__name__} gives no array ({type(error).__name__}: {said}): convert it to a NumPy array first"
        ) from error


def _converted(data: Any) -> Any:
    kind = type(data)
    library = (kind.__module__ or "").partition(".")[0]
    if library == "torch" and hasattr(data, "detach"):
        return _tensor(data)
    if library == "pandas" and hasattr(data, "isna"):
        return _columns(data) if hasattr(data, "columns") else _series(data)
    if hasattr(data, "__dlpack__") and not hasattr(data, "__array__"):
        return _exchanged(data)
    if hasattr(data, "__cuda_array_interface__") and hasattr(data, "get"):
        return np.asarray(data.get())
    if hasattr(data, "__array__"):
        return np.asarray(data)
    return data


def _tensor(data: Any) -> Any:
    """Return a tensor's values; what it remembers for gradients is not stored."""
    if data.is_sparse or data.layout.__str__() != "torch.strided":
        raise InvalidInput("sparse tensors cannot be compressed: give .to_dense()")
    plain = data.detach().cpu().resolve_conj().resolve_neg()
    narrow = NARROW.get(str(plain.dtype).removeprefix("torch."))
    if narrow is None:
        return plain.numpy()
    signed = plain.view(getattr(sys.modules["torch"], f"int{8 * narrow.plain.itemsize}"))
    return signed.numpy().view(narrow.dtype())


def _series(data: Any) -> Any:
    """Return the values of a pandas series, index or array; missing ones of nullable types are masked."""
    plain = getattr(data.dtype, "numpy_dtype", None)
    if plain is None or np.dtype(plain).kind not in "fiub" or isinstance(data.dtype, np.dtype):
        return np.asarray(data)
    missing = np.asarray(data.isna(), np.bool_)
    values = np.asarray(data.to_numpy(dtype=plain, na_value=np.dtype(plain).type(0)))
    return np.ma.masked_array(values, missing) if missing.any() else values


def _columns(data: Any) -> Any:
    """Return the values of a pandas frame, all columns in the smallest type that holds them."""
    if data.shape[1] == 0:
        return np.asarray(data)
    columns = [_series(data.iloc[:, c]) for c in range(data.shape[1])]
    dtypes = {column.dtype for column in columns}
    if any(dtype.kind not in "fiubc" for dtype in dtypes) and len(dtypes) > 1:
        words = ", ".join(sorted(map(str, dtypes)))[:MOST_SAID]
        raise InvalidInput(f"the columns of the frame have types that no array has together ({words}): compress them one by one")
    if any(isinstance(column, np.ma.MaskedArray) for column in columns):
        return np.ma.stack(columns, axis=1)
    return np.stack(columns, axis=1)


def _exchanged(data: Any) -> Any:
    """Return what comes by DLPack, copied to the CPU where it lies elsewhere."""
    if data.__dlpack_device__()[0] == 1:
        return np.from_dlpack(data)
    if hasattr(data, "get"):
        return np.asarray(data.get())
    return np.from_dlpack(data, device="cpu")
