"""What compiles loops: imported by compiled modules alone. Without numba aezip works as well, only slower."""

from __future__ import annotations

import numba  # type: ignore[import-not-found,import-untyped,unused-ignore]

jit = numba.njit(nogil=True, cache=True, fastmath=False, boundscheck=False)
# Sums of whole numbers that float32 holds exactly (see `ContextNet`): a product fused with a sum is the same number.
jit_exact = numba.njit(nogil=True, cache=True, fastmath={"contract"}, boundscheck=False)
