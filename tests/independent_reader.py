"""Read aezip files without the package, from docs/format.md alone: ``python tests/independent_reader.py FILE [MODEL ...]``.

What decodes here proves that the page says enough. Nothing is imported but NumPy, h5py, zstandard and the standard library.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from independent import arrays, frames, masks
from independent.container import Stored, check, open_file


def read(path: Path, models: Iterable[Path] = ()) -> dict[str, np.ndarray]:
    """Return the arrays of a file by their names; `models` are files that it may refer to."""
    file = open_file(path)
    known: arrays.Known = {}
    for name, stored in file.arrays.items():
        known[name] = stored, arrays.decode(stored, _model(stored, models), known)
    return {name: values for name, (_, values) in known.items()}


def read_frame(data: bytes, model: Path | None = None) -> np.ndarray:
    """Return the array of a frame; `model` is the file that may serve it."""
    stored = frames.parse(data, open_file(model).arrays["model"] if model else None)
    return arrays.decode(stored, stored.segment("model"), {})


def estimates(path: Path) -> dict[str, np.ndarray]:
    """Return what the recommenders of a file say of all entries of their matrices."""
    arrays_of = open_file(path).arrays.items()
    return {name: masks.estimates(stored.segment("recommender")) for name, stored in arrays_of if "recommender" in stored.streams}


def _model(stored: Stored, models: Iterable[Path]) -> bytes:
    """Return the stream `model` of an array: its own, or that of the model file that it refers to."""
    trained = stored.header.get("trained")
    if trained is None or trained["embedded"]:
        return stored.segment("model")
    known = {file.id: file for file in map(open_file, models)}
    check(trained["id"] in known, "a model that is at hand")
    model = known[trained["id"]].arrays["model"]
    check(model.header["plan"] == stored.header["plan"], "a model of the same plan")
    return model.segment("model")


if __name__ == "__main__":
    for name, array in read(Path(sys.argv[1]), [Path(model) for model in sys.argv[2:]]).items():
        print(name, array.shape, array.dtype.str, hashlib.sha256(array.tobytes()).hexdigest())
