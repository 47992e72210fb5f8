"""The frozen decoder: int8 weights, integer activations, exact on every machine.

Integers are held in float32 (or float64) arrays and multiplied with GEMM. The result does not depend on
the order of summation as long as no partial sum can leave the range in which the format represents every
integer; `IntegerDecoder` proves that from the weights when it is made, and takes float64 where float32
does not reach. Everything else is one rounding of one exact value: multiplication by a power of two, the
sum of two integers, rint. Imports neither torch nor h5py.

    narrow (rows, inputs): codes and values already decoded, 8 bits after the point
    wide   (rows, inputs): the same at full precision, for the linear part
      -> hidden = clip(rint((W1 narrow + b1) * 2**-e1), 0, 1023)          (rows, hidden)
      -> hidden = clip(rint((W2 hidden + b2) * 2**-e2), 0, 1023)
      -> mean   = rint((Wm hidden) * 2**-em + (Wz wide) * 2**-ez) + bm     (rows, features), in 1/64 step
      -> level  = clip(rint((Ws hidden + bs) * 2**-es), 0, top)            (rows, features)
      -> bin    = clip(rint((Wf hidden + bf) * 2**-ef), 0, 31)             (rows, features), if there are spikes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import ACTIVATION_TOP, FLAG_BINS
from aezip.core.types import Int64
from aezip.plans.integer import Float, IntegerLayer, ReadyLayer

TILE = 1 << 15  # values computed at a time: stays in the cache


@dataclass(frozen=True)
class IntegerDecoder:
    """Code to mean and level, exactly.

    Parameters
    ----------
    first, second, mean, skip, scale
        The layers. `mean` sees the hidden units, `skip` the wide inputs; the bias of the mean is `offset`.
    offset
        int64, shape (features,), in 1/64 step.
    narrow_top, wide_top
        The largest absolute inputs.
    levels
        Number of levels; a level is a quarter of an octave of the scale.
    flag
        The layer of the log-odds, which sees what `scale` sees; None where no feature has a spike.

    Raises
    ------
    CorruptFile
        If the shapes do not fit or a partial sum could leave the exact range.
    """

    first: IntegerLayer
    second: IntegerLayer
    mean: IntegerLayer
    skip: IntegerLayer
    scale: IntegerLayer
    offset: Int64
    narrow_top: int
    wide_top: int
    levels: int
    flag: IntegerLayer | None = None

    def __post_init__(self) -> None:
        """Prove exactness and prepare the float arrays."""
        inputs, hidden, features = self.inputs, len(self.first.weight), self.features
        seen = self.scale.weight.shape[1]
        shapes = {
            self.first.weight.shape: (hidden, inputs),
            self.second.weight.shape: (hidden, hidden),
            self.mean.weight.shape: (features, hidden),
            self.skip.weight.shape: (features, inputs),
            self.scale.weight.shape: (features, seen),
        }
        if self.flag is not None:
            shapes[self.flag.weight.shape] = (features, seen)
        if any(have != want for have, want in shapes.items()) or seen > hidden:
            raise CorruptFile("the layers of the model do not fit together")
        if (np.abs(self.offset) >= 1 << 62).any() or min(self.narrow_top, self.wide_top) < 0:
            raise CorruptFile("the model's offsets are out of range")
        top = np.full(hidden, ACTIVATION_TOP, np.int64)
        narrow = np.full(inputs, self.narrow_top, np.int64)
        wide = np.full(inputs, self.wide_top, np.int64)
        ready = {
            "first": ReadyLayer(self.first, narrow),
            "second": ReadyLayer(self.second, top),
            "mean": ReadyLayer(self.mean, top),
            "skip": ReadyLayer(self.skip, wide),
            "scale": ReadyLayer(self.scale, top[:seen]),
        }
        if self.flag is not None:
            ready["flag"] = ReadyLayer(self.flag, top[:seen])
        object.__setattr__(self, "_ready", ready)

    @property
    def layers(self) -> list[IntegerLayer]:
        """The layers in the order in which they are stored."""
        return [self.first, self.second, self.mean, self.skip, self.scale, *([] if self.flag is None else [self.flag])]

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.first.weight.shape[1])

    @property
    def features(self) -> int:
        """Values predicted for a row."""
        return len(self.offset)

    def predict(
        self, narrow: npt.NDArray[np.integer], wide: npt.NDArray[np.integer]
    ) -> tuple[Int64, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return mean, int64 in 1/64 step, level, uint8, and bin of the log-odds, uint8; all (rows, features).

        Parameters
        ----------
        narrow, wide
            Integers, shape (rows, inputs); clipped to `narrow_top` and `wide_top`.

        Returns
        -------
        tuple of ndarray
            Without a flag layer the bins have no features.
        """
        rows = len(narrow)
        mean = np.empty((rows, self.features), np.int64)
        level = np.empty((rows, self.features), np.uint8)
        bins = np.empty((rows, 0 if self.flag is None else self.features), np.uint8)
        tile = max(1, TILE // max(1, self.features, len(self.first.weight)))
        for at in range(0, rows, tile):
            part = slice(at, at + tile)
            self._tile(narrow[part], wide[part], mean[part], level[part], bins[part])
        return mean, level, bins

    def _tile(
        self,
        narrow: npt.NDArray[np.integer],
        wide: npt.NDArray[np.integer],
        mean: Int64,
        level: npt.NDArray[np.uint8],
        bins: npt.NDArray[np.uint8],
    ) -> None:
        ready: dict[str, ReadyLayer] = self._ready  # type: ignore[attr-defined]
        skip = ready["skip"]
        # features whose distribution does not change need no hidden units
        if all(ready[name].empty for name in ("mean", "scale", "flag") if name in ready):
            scale = np.rint(np.multiply(ready["scale"].bias, ready["scale"].factor))
            level[...] = np.clip(scale, 0, self.levels - 1)
            if self.flag is not None:
                bins[...] = np.clip(np.rint(np.multiply(ready["flag"].bias, ready["flag"].factor)), 0, FLAG_BINS - 1)
            mean[...] = self.offset
            if skip.empty:
                return
        else:
            hidden = self._hidden(narrow)
            seen = self.scale.weight.shape[1]
            scale = ready["scale"](hidden[:, :seen])
            np.clip(np.rint(scale, out=scale), 0, self.levels - 1, out=scale)
            level[...] = scale
            if self.flag is not None:
                bins[...] = np.clip(np.rint(ready["flag"](hidden[:, :seen])), 0, FLAG_BINS - 1)
        total = np.zeros(mean.shape) if ready["mean"].empty else ready["mean"](hidden).astype(np.float64)
        if not skip.empty:
            total += skip(np.clip(wide, -self.wide_top, self.wide_top).astype(np.float64))
        np.rint(total, out=total)
        np.add(total, self.offset, out=mean, casting="unsafe")

    def _hidden(self, narrow: npt.NDArray[np.integer]) -> Float:
        ready: dict[str, ReadyLayer] = self._ready  # type: ignore[attr-defined]
        value = np.clip(narrow, -self.narrow_top, self.narrow_top).astype(np.float32)
        hidden = ready["first"](value)
        np.clip(np.rint(hidden, out=hidden), 0, ACTIVATION_TOP, out=hidden)
        hidden = ready["second"](hidden)
        np.clip(np.rint(hidden, out=hidden), 0, ACTIVATION_TOP, out=hidden)
        return hidden
