"""Training a model on one array or several, for many others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.bounds import Bound, Lossless
from aezip.codec.encoder import ArrayEncoder
from aezip.container.writer import Writer
from aezip.core.errors import InvalidInput
from aezip.core.surroundings import undisturbed
from aezip.entropy.frames import pack
from aezip.plans.autoencoder.encoder import encoder_to_bytes

from .models import NAME, Model
from .reading import thread_count

if TYPE_CHECKING:
    from aezip.core.progress import ProgressEvent


@undisturbed
def train(
    data: Any,
    *,
    bound: Bound | None = None,
    fill_value: Any = None,
    valid_range: Any = None,
    preset: str = "balanced",
    seed: int = 0,
    variant: str = "deep",
    device: str = "auto",
    init_from: Model | None = None,
    threads: int | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> Model:
    """Train a model on one array, or on several that differ in the length of the outer axis only.

    Parameters
    ----------
    data
        Array, or a sequence of arrays.
    bound, fill_value, valid_range, preset, seed, variant, device, threads, progress
        As in `aezip.compress`.
    init_from
        Continue training from this model: its plan stays, its weights are where training starts.

    Returns
    -------
    Model
        With whatever plan was smallest on the data: autoencoder, context, columns or signal.

    Raises
    ------
    InvalidInput
        If the arrays differ, or no network pays on them.
    ModelMismatch
        If `init_from` is for other arrays or another kind of bound.
    """
    array = _joined(data)
    encoder = ArrayEncoder(
        array, Lossless() if bound is None else bound, fill_value=fill_value, valid_range=valid_range,
        preset=preset, seed=seed, variant=variant, device=device, progress=progress, shared=True,
        start=None if init_from is None else init_from.trained, threads=thread_count(threads),
    )  # fmt: skip
    encoder.prepare()
    choice = encoder.chosen
    if not choice.plan.trained or choice.grid is None or choice.model is None:
        raise InvalidInput("no network pays on this data: give more of it, or compress without a model")
    header: dict[str, Any] = {
        "name": NAME,
        "shape": [0, *np.shape(array)[1:]],
        "dtype": encoder.dtype,
        "bound": encoder.bound.to_json(),
        "chunk_length": 1,
        "chunk_count": 0,
        "chunk_values": 0,
        "specials": {"patterns": [], "fills": 0},
        "grid": choice.grid.to_json(),
        "plan": choice.plan.to_json(),
        "rates": {k: round(v, 5) for k, v in choice.rates.items()},
        "trained_on": {"values": int(np.size(array)), "preset": preset, "seed": seed},
    }
    if init_from is not None:
        header["trained_on"]["init_from"] = init_from.id
    streams = {"model": choice.model_bytes}
    if choice.encoder is not None:
        inside = choice.encoder
        header["encoder"] = {"hidden": len(inside.biases[0]), "logistic": inside.logistic, "winners": inside.winners}
        streams["encoder"] = encoder_to_bytes(inside)
    with Writer(None) as writer:
        writer.begin(NAME)
        writer.end(header, {name: pack(stream, 19) for name, stream in streams.items()})
        writer.finish(kind="model", features=["model"])
        writer.publish()
        return Model(writer.getvalue())


def _joined(data: Any) -> Any:
    if not isinstance(data, Sequence) or isinstance(data, str | bytes) or not all(isinstance(a, np.ndarray) for a in data):
        return data
    if not data:
        raise InvalidInput("there is no array to train on: name at least one")
    first = data[0]
    for other in data[1:]:
        if other.dtype != first.dtype or other.shape[1:] != first.shape[1:] or not other.ndim:
            raise InvalidInput(
                f"arrays of {first.dtype} {first.shape} and {other.dtype} {other.shape} cannot share a model: "
                "only the length of the outer axis may differ"
            )
    return first if len(data) == 1 else np.concatenate(data)
