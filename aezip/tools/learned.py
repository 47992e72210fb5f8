"""The part of a page that shows what an autoencoder learned: responses of its decoder to codes, and their maps. Returns HTML."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import pictures

if TYPE_CHECKING:
    from aezip.apps.learned import Code, Learned

WIDTH, HEIGHT = 600, 140  # of a drawing
MOST_BARS = 256  # features that have a bar of their own
LIMIT = 3.0  # standard deviations of a code that have the strongest colours


def learned(found: Learned) -> str:
    """Return the section on what was learned."""
    what = "differences of values" if found.differences else "values"
    words = (
        f"{found.width} codes for each block; here are the {len(found.codes)} to which the decoder responds most: by how much "
        f"its {what} rise with one standard deviation more of the code, and where in the array the code is above (red) or below "
        "(blue) its typical value."
    )
    head = f'<h3>What was learned</h3><p class="dim">{words}</p>'
    return head + "".join(_code(code) for code in found.codes)


def _code(code: Code) -> str:
    """Return the drawings of a code, side by side where there is room."""
    most = float(np.abs(code.response).max())
    caption = f"Code {code.number}: response up to {most:.4g}"
    shape = [n for n in code.response.shape if n > 1]
    figures = [_picture(code.response, most, caption) if len(shape) > 1 else _bars(code.response.reshape(-1), most, caption)]
    places = [n for n in code.places.shape if n > 1]
    if len(places) > 1:
        figures.append(_picture(code.places, LIMIT, f"Code {code.number}: where it is, {LIMIT:g} standard deviations at most"))
    return f'<div class="figures">{"".join(figures)}</div>'


def _picture(values: npt.NDArray[np.float64], limit: float, caption: str) -> str:
    """Return a picture of the middle plane along the last two axes that are longer than one."""
    plane: Any = values.reshape([n for n in values.shape if n > 1])
    while plane.ndim > 2:
        plane = plane[len(plane) // 2]
    steps = [-(-n // pictures.LARGEST) for n in plane.shape]
    data = pictures.errors_png(plane[:: steps[0], :: steps[1]], limit)
    link = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    return f'<figure><img alt="{html.escape(caption)}" src="{link}"><figcaption>{html.escape(caption)}.</figcaption></figure>'


def _bars(values: npt.NDArray[np.float64], most: float, caption: str) -> str:
    """Return bars, up or down, one for each feature, or for the largest of several that stand together."""
    each = -(-len(values) // MOST_BARS)
    padded = np.pad(values, (0, -len(values) % each)).reshape(-1, each)
    shown = np.take_along_axis(padded, np.abs(padded).argmax(axis=1)[:, None], axis=1)[:, 0]
    step, middle = WIDTH / len(shown), HEIGHT / 2
    shapes = []
    for number, value in enumerate(shown.tolist()):
        tall = max(0.5, abs(value) / most * middle)
        top = middle - tall if value > 0 else middle
        shapes.append(f'<rect x="{number * step:.1f}" y="{top:.1f}" width="{max(0.5, 0.9 * step):.1f}" height="{tall:.1f}"/>')
    label = html.escape(f"{caption}; {len(values)} features")
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    axis = f'<line x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}"/>'
    return f"<figure>{drawing}{axis}{''.join(shapes)}</svg><figcaption>{label}.</figcaption></figure>"
