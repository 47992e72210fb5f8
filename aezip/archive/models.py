"""Models that are trained once and used for many arrays: their files, and where the model of an archive is found.

An `.aezm` file is a container as archives are, of the kind `model`: one array without rows, whose header holds plan, grid
and what it was trained for, and the streams `model` and `encoder`. Its id is the SHA-256 that closes the container.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from aezip.array.bounds import Bound
from aezip.codec.decoder import ArrayDecoder
from aezip.container.reader import Reader
from aezip.core.errors import AezipError, CorruptFile, InvalidInput, ModelMismatch
from aezip.core.sources import Source, Writable, is_writable, opened
from aezip.core.sources import named as checked_path
from aezip.entropy.frames import pack

if TYPE_CHECKING:
    from aezip.plans.trained import TrainedPlan

AnyModel = Union["Model", Source, None]
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

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = bytes(data)
        with Reader(self.data) as reader:
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

    def __repr__(self) -> str:
        """Return the plan, the bound and the id."""
        return f"<aezip.Model: {self.describe()}, {self.bound!r}, id {self.id[:16]}>"

    def save(self, path: str | os.PathLike[str] | Writable, *, overwrite: bool = False) -> None:
        """Write the model: to a path, atomically, or to a file open for writing.

        Raises
        ------
        InvalidInput
            If the file exists and may not be replaced, or cannot be written there.
        """
        from aezip.core import atomic

        if is_writable(path):
            path.write(self.data)
            return
        atomic.write(Path(checked_path(path)), self.data, overwrite=overwrite)

    @staticmethod
    def load(source: Source) -> Model:
        """Read a model: from a path, bytes, or a file open for reading.

        Raises
        ------
        CorruptFile, UnsafeFile, UnsupportedVersion
            If it is damaged, hostile, or of a later format.
        InvalidInput
            If there is no such file, or it is an archive.
        """
        path = opened(source)
        if isinstance(path, bytes):
            return Model(path)
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


def _trained(header: dict[str, Any], shared: dict[str, bytes]) -> TrainedPlan:
    """Return what a model file holds."""
    from aezip.plans.autoencoder.encoder import encoder_from_bytes  # most archives are read without a model file
    from aezip.plans.trained import TrainedPlan

    decoder = ArrayDecoder(header, shared)
    plan, grid, model = decoder.parts()
    if not plan.trained or grid is None or model is None:
        raise CorruptFile("the model holds no networks: the file is damaged, get another copy")
    inner, encoder = plan.with_codes(), None
    if inner is not None:
        encoder = encoder_from_bytes(shared.get("encoder", b""), header.get("encoder"), inner.sizes)
    trained = TrainedPlan(header, plan, grid, model, shared["model"], encoder)
    try:
        _ = trained.bound
    except AezipError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile("the bound of the model is malformed: the file is damaged, get another copy") from error
    return trained


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
