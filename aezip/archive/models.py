"""Models that are trained once and used for many arrays: training, files, and where the model of an archive is found.

An `.aezm` file is a container as archives are, of the kind `model`: one array without rows, whose header holds plan, grid
and what it was trained for, and the streams `model` and `encoder`. Its id is the SHA-256 that closes the container.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from aezip.array.bounds import Bound, Lossless
from aezip.codec.decoder import Decoder
from aezip.codec.encoder import Encoder
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.core.atomic import replacing
from aezip.core.errors import AezipError, CorruptFile, InvalidInput, ModelMismatch
from aezip.core.parallel import cores
from aezip.entropy.frames import pack
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.context.plan import ContextPlan, bottleneck, needed
from aezip.plans.trained import Trained, encoder_from_bytes, encoder_to_bytes

if TYPE_CHECKING:
    from aezip.core.progress import ProgressEvent

AnyModel = Union["Model", str, os.PathLike[str], None]
PATH = "AEZIP_MODEL_PATH"
SUFFIX = ".aezm"
NAME = "model"


class Model:
    """A trained model: `aezip.train` makes one, `Codec(model=...)` and `compress(model=...)` use it.

    Parameters
    ----------
    data
        The bytes of an `.aezm` file.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If they are damaged, hostile, or of a later format.
    InvalidInput
        If they are an archive.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        with Reader(data) as reader:
            if reader.kind != "model":
                raise InvalidInput("this is an archive, not a model: models are made by aezip train")
            if reader.names != [NAME] or list(reader.damaged_streams(NAME)):
                raise CorruptFile("the model does not match its digests: the file is damaged, get another copy")
            self.id = reader.identity
            header, shared = reader.header(NAME), reader.shared(NAME)
        self.stream_bytes = len(pack(shared.get("model", b""), 19))
        self.trained = _trained(header, shared)

    @property
    def plan(self) -> dict[str, Any]:
        """The plan, as in a file's header."""
        return dict(self.trained.plan.to_json())

    @property
    def bound(self) -> Bound:
        """The bound that it was trained for."""
        return self.trained.bound

    def reference(self, *, embedded: bool) -> dict[str, Any]:
        """Return what the header of an array says of the model that made it."""
        sizes = {"file_bytes": len(self.data), "stream_bytes": self.stream_bytes}
        return {"id": self.id, "embedded": embedded, **sizes}

    def describe(self) -> str:
        """Return the plan in a few words."""
        return self.trained.plan.describe()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model, atomically.

        Raises
        ------
        InvalidInput
            If the file exists and may not be replaced, or cannot be written there.
        """
        with replacing(Path(path), overwrite=overwrite) as file:
            file.write(self.data)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Model:
        """Read a model.

        Raises
        ------
        CorruptFile, UnsafeFile, UnsupportedVersion
            If it is damaged, hostile, or of a later format.
        InvalidInput
            If there is no such file, or it is an archive.
        """
        if not Path(path).is_file():
            raise InvalidInput(f"{path} does not exist or is no file: name a model made by aezip train")
        try:
            return Model(Path(path).read_bytes())
        except AezipError as error:
            raise type(error)(f"{path}: {error}") from error


def as_model(given: AnyModel) -> Model | None:
    """Return a model that was given as itself or by the path of its file.

    Raises
    ------
    InvalidInput, CorruptFile, UnsafeFile, UnsupportedVersion
        As `Model.load`.
    """
    return given if given is None or isinstance(given, Model) else Model.load(given)


def _trained(header: dict[str, Any], shared: dict[str, bytes]) -> Trained:
    decoder = Decoder(header, shared)
    plan, grid, model = decoder.parts()
    if not isinstance(plan, NetworkPlan | ContextPlan) or grid is None or model is None:
        raise CorruptFile("the model holds no networks: the file is damaged, get another copy")
    inner, encoder = bottleneck(plan), None
    if inner is not None:
        encoder = encoder_from_bytes(shared.get("encoder", b""), header.get("encoder"), inner.sizes)
    trained = Trained(header, plan, grid, model, shared["model"], encoder)
    try:
        _ = trained.bound
    except AezipError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile("the bound of the model is malformed: the file is damaged, get another copy") from error
    return trained


def train(
    data: Any,
    *,
    bound: Bound | None = None,
    fill_value: Any = None,
    preset: str = "balanced",
    seed: int = 0,
    variant: str = "deep",
    device: str = "auto",
    init_from: Model | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> Model:
    """Train a model on one array, or on several that differ in the length of the outer axis only.

    Parameters
    ----------
    data
        Array, or a sequence of arrays.
    bound, fill_value, preset, seed, variant, device, progress
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
    encoder = Encoder(
        array, Lossless() if bound is None else bound, fill_value=fill_value, preset=preset, seed=seed, variant=variant,
        device=device, progress=progress, shared=True, start=None if init_from is None else init_from.trained,
        threads=cores(),
    )  # fmt: skip
    encoder.prepare()
    choice = encoder.chosen
    if not isinstance(choice.plan, NetworkPlan | ContextPlan) or choice.grid is None or choice.model is None:
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
    needs = needed(choice.plan)
    if needs:
        header["needs"] = needs
    if init_from is not None:
        header["trained_on"]["init_from"] = init_from.id
    streams = {"model": choice.model_bytes}
    if choice.encoder is not None:
        inside = choice.encoder
        header["encoder"] = {"hidden": len(inside.biases[0]), "logistic": inside.logistic, "winners": inside.winners}
        streams["encoder"] = encoder_to_bytes(inside)
    with Writer(None) as writer:
        writer.begin(NAME)
        writer.end(header, {name: pack(stream, 19) for name, stream in streams.items()}, needs)
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


def wanted(header: dict[str, Any]) -> str | None:
    """Return the id of the model that an array of an archive refers to; None if the model is in the file.

    Raises
    ------
    CorruptFile
        If the reference is malformed.
    """
    reference = header.get("trained")
    if reference is None:
        return None
    good = isinstance(reference, dict) and isinstance(reference.get("embedded"), bool) and isinstance(reference.get("id"), str)
    if not good or len(reference["id"]) != 64 or not set(reference["id"]) <= set("0123456789abcdef"):
        raise CorruptFile("the reference to a model is malformed: the file is damaged, get another copy")
    return None if reference["embedded"] else str(reference["id"])


def stream_of(header: dict[str, Any], given: Model | None) -> bytes | None:
    """Return the `model` stream that an array refers to; None if it is in the file.

    Parameters
    ----------
    given
        The model that the user named; otherwise the folders and files of AEZIP_MODEL_PATH are searched.

    Raises
    ------
    ModelMismatch
        If it is missing, or another one.
    """
    identity = wanted(header)
    if identity is None:
        return None
    model = _found(identity) if given is None else given
    if model is None:
        raise ModelMismatch(
            f"the file needs the model {identity[:16]}…, which is not in {PATH}: give it with -m MODEL{SUFFIX} (model=)"
        )
    if model.id != identity:
        raise ModelMismatch(f"the file needs the model {identity[:16]}…, this is {model.id[:16]}…: give the one it was made with")
    if model.trained.plan.to_json() != header.get("plan"):
        raise ModelMismatch("the plan of the file is not that of its model: one of them is not what it claims")
    return model.trained.model_bytes


def _found(identity: str) -> Model | None:
    """Look for a model in AEZIP_MODEL_PATH: folders or files, separated as in PATH; what is no model is passed over."""
    for place in filter(None, os.environ.get(PATH, "").split(os.pathsep)):
        path = Path(place)
        candidates = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        for candidate in candidates:
            try:
                with Reader(candidate) as reader:
                    same = reader.identity == identity
                if same:
                    return Model.load(candidate)
            except (AezipError, OSError):
                continue
    return None
