"""The drawings of `docs/how.md`: codes, predictions and residuals of a field that comes with the package.

`python -m tools.draw_docs` compresses it twice, by an autoencoder and by what is smallest without training, and looks on while
the files are decoded. Needs matplotlib (extra `bench`) and a minute or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

import aezip
from aezip.apps import codes as features
from aezip.core.fixed import FRACTION_BITS
from aezip.plans.context.walk import Walk

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
NAME, YEARS, YEAR = "data", 60, 30
BOUND, LOOSE = aezip.RangeRelative(1e-3), aezip.RangeRelative(1e-2)
plt.rcParams |= {"font.size": 9, "figure.dpi": 110, "savefig.bbox": "tight", "image.origin": "lower"}


def field() -> npt.NDArray[Any]:
    """Return air temperature over North America, (year, latitude, longitude)."""
    with (files("aezip") / "data" / "field.npz").open("rb") as file, np.load(file) as arrays:
        return np.asarray(arrays["air_temperature"][0, :YEARS])


def picture(axes: Any, values: npt.NDArray[Any], title: str, unit: str = "K", **options: Any) -> None:
    """Draw a map."""
    drawn = axes.imshow(values, **options)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.figure.colorbar(drawn, ax=axes, shrink=0.75, label=unit)


def around(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return colours that are white at zero."""
    most = float(np.quantile(np.abs(values), 0.995))
    return {"cmap": "RdBu_r", "vmin": -most, "vmax": most}


def told(name: str, report: aezip.Report, residual: npt.NDArray[Any], step: float) -> None:
    """Print what the page says of a drawing."""
    print(f"{name}: {report.raw_bytes} -> {report.file_bytes} bytes, {report.bytes}, {report.plan}")
    print(f"  step {step:.4g}, mean size of the residual {np.abs(residual).mean():.3g} steps, zeros {(residual == 0).mean():.1%}")


def draw_codes(x: npt.NDArray[Any]) -> None:
    """Draw what an autoencoder of 4 codes makes of the years of each place."""
    rows = np.ascontiguousarray(x.reshape(YEARS, -1).T)
    data, report = aezip.compress(rows, bound=LOOSE, preset="fast", codes=4, device="cpu")
    with aezip.open(data) as archive:
        view = archive[NAME]
        codes, back = archive.codes(), view[...]
        made = features.predictions(view._decoder, 0, view._code_stream(0), NAME)
        step = float(view._decoder.grid.step)
    residual = np.rint((back.astype("f8") - made) / step)
    shape = x.shape[1:]
    _, axes = plt.subplots(3, 2, figsize=(7.4, 7.4), layout="constrained")
    picture(axes[0, 0], x[YEAR], f"original, year {YEAR} of {YEARS}", "K")
    picture(axes[0, 1], made[:, YEAR].reshape(shape), "what the decoder makes of the codes", "K")
    picture(axes[1, 0], residual[:, YEAR].reshape(shape), "residual, stored", "steps", **around(residual[:, YEAR]))
    for number, part in enumerate((axes[1, 1], axes[2, 0], axes[2, 1])):
        picture(part, codes[:, number].reshape(shape), f"code {number + 1} of 4, stored", "", cmap="cividis")
    plt.savefig(FOLDER / "codes.png")
    told("codes.png", report, residual, step)


@dataclass
class Seen:
    """What was seen while a chunk was decoded: predictions and residuals in steps, expected scales, when a value came."""

    mean: npt.NDArray[Any]
    residual: npt.NDArray[Any]
    level: npt.NDArray[Any]
    turn: npt.NDArray[Any]


def watched(data: bytes) -> list[Seen]:
    """Decode an archive of one chunk and note what its context network says, year by year."""
    compiled, predictions, store = Walk.compiled, Walk.predictions, Walk.store
    seen: list[Seen] = []

    def predicted(walk: Walk, net: Any, workers: int) -> Iterator[Any]:
        seen.append(Seen(*(np.zeros(walk.shape) for _ in range(4))))
        for turn, (tile, said) in enumerate(predictions(walk, net, 1)):
            tile.put(seen[-1].level, said[1].astype(float))
            tile.put(seen[-1].turn, np.full(len(said[1]), turn))
            yield tile, said

    def stored(walk: Walk, tile: Any, value: Any, q: Any) -> None:
        tile.put(seen[-1].mean, (value + walk.base(tile)) * 2.0**-FRACTION_BITS - q)
        tile.put(seen[-1].residual, q.astype(float))
        store(walk, tile, value, q)

    Walk.compiled = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    Walk.predictions, Walk.store = predicted, stored  # type: ignore[method-assign,assignment]
    try:
        aezip.decompress(data)
    finally:
        Walk.compiled, Walk.predictions, Walk.store = compiled, predictions, store  # type: ignore[method-assign]
    return [one for one in seen if one.turn.any()]


def draw_context(x: npt.NDArray[Any]) -> None:
    """Draw what a network over decoded neighbours predicts, and what it misses."""
    data, report = aezip.compress(x, bound=BOUND, preset="instant")
    with aezip.open(data) as archive:
        grid, back = archive[NAME]._decoder.grid, archive[NAME][YEAR]
    seen = watched(data)[YEAR]
    mean = seen.mean * float(grid.step) + float(grid.offset)
    assert np.abs(mean + seen.residual * float(grid.step) - back).max() < 1e-4, "this is not what was decoded"
    _, axes = plt.subplots(2, 2, figsize=(7.4, 5.2), layout="constrained")
    picture(axes[0, 0], seen.turn, f"order of decoding, year {YEAR}", "pass", cmap="viridis")
    picture(axes[0, 1], mean, "prediction from what came before")
    picture(axes[1, 0], seen.residual, "residual, stored", "steps", **around(seen.residual))
    picture(axes[1, 1], seen.level, "uncertainty that the network predicts", "level: 4 are a factor of 2", cmap="magma")
    plt.savefig(FOLDER / "context.png")
    told("context.png", report, seen.residual, float(grid.step))


def main() -> None:
    """Draw both."""
    FOLDER.mkdir(exist_ok=True)
    x = field()
    print(f"{x.shape}, range {np.ptp(x):.4g}")
    draw_context(x)
    draw_codes(x)


if __name__ == "__main__":
    main()
