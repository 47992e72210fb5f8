"""Networks that come with the package: a file names them by number and SHA-256 in place of carrying them.

They are data of the format: never changed, only added to. `tools/pretrain` made them from synthetic arrays; each is for one
way over the axes, for fine grids or for whole numbers. Knows nothing of files but those of the package.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile, ModelMismatch, UnsupportedVersion
from aezip.core.planes import Cursor, split_bytes
from aezip.core.types import Int64
from aezip.plans.integer import IntegerLayer

from .net import BITS, ContextNet, ContextSizes, net_from_bytes

FOLDER = Path(__file__).parents[2] / "data" / "networks"
HIDDEN = 32


@dataclass(frozen=True)
class Builtin:
    """A network of the package: its name says the way over the axes and the kind of grid; SHA-256 of its bytes."""

    name: str
    sha256: str

    @property
    def whole(self) -> bool:
        """Whether it is for whole numbers."""
        return self.name.endswith("-whole")

    @property
    def sizes(self) -> ContextSizes:
        """The sizes, on the first axes of an array."""
        kind, *numbers = self.name.split("-")[:-1]
        if kind == "scan":
            return ContextSizes((), HIDDEN, BITS, scan=tuple(range(int(numbers[0]))))
        if kind == "signal":
            return ContextSizes((), HIDDEN, BITS, columns=int(numbers[0]))
        axes, order = itertools.count(), []
        for length in (kind, *numbers):
            order.append(tuple(itertools.islice(axes, int(length))))
        return ContextSizes(tuple(order), HIDDEN, BITS)


# a network's number is its place in the list, from 1 on
BUILTINS: tuple[Builtin, ...] = (
    Builtin("1-2-fine", "64ecf2611b40e7c6883d225626b865a293bd29fd1ad94350b4a5139c1d3d2a0c"),
    Builtin("1-2-whole", "fcdd99f7e125eb17ce0c80b4a1c92e9d16ea90a5b6a42a8d679d0b0b37b78f0d"),
    Builtin("2-fine", "d5de7ac5776ce160120eaed2f38c2f4995f6772718a60659286583498024531e"),
    Builtin("2-whole", "cbb6d8da36fdc97ba304f6082b2d5aaec134bf9d4e3607c64b4ca7c7042fffa0"),
    Builtin("scan-3-fine", "a9ab210bfad4ef65acab3e8c8b36520415ce19ad2fcb26f03ed80db6422bd44d"),
    Builtin("scan-3-whole", "e209094d9272603d1cbdd590c985da61119ba6b07f1a7d4cc75493effc59116f"),
    Builtin("1-1-fine", "d6251e2eb49e589a8a1b510a98d062f0c03c0150cffd12a48371ab75e83aa994"),
    Builtin("1-1-whole", "ca835183bf4ff37d098822145566c83f392c7cfa49dd8929fde625812b47ad10"),
    Builtin("scan-2-fine", "1f142f2b7d4470837a87929b2188da4320581ba57bead193e65d657b8c747421"),
    Builtin("scan-2-whole", "37e02113f5358cd2370365960330fafe425e99f299338627dcf119eeca3b73f6"),
    Builtin("3-fine", "242703612aff2abdbaf9155fb093f3015f99a4b6e8b87131e63f064f792b39c1"),
    Builtin("3-whole", "ca5bd904786272c88492cd8f5b5f45711bda3a13b5e2feaae7407ee43b1ab4aa"),
    Builtin("signal-1-fine", "f6913b764c0ebfc6079f5d88ead03bff929443993ddc516d32363c9973da15cc"),
    Builtin("signal-1-whole", "c65f3b9377b2557dc3572191c68e18e60124e4f4afffafdfbfee2bf92961abcd"),
    Builtin("1-fine", "3222a2aeed7ed7f918e075c2f4ab8cf24c010b3dd69872c956c2ba74753c711d"),
    Builtin("1-whole", "3e6ccb267a6e990ed75940883d1fd9ab7421b1b9bed481aae662f1175033ade0"),
    Builtin("1-3-fine", "9d412a8e5d36b016fd89dd73cef066568c0a38f54be216ca56be173bf9673711"),
    Builtin("1-3-whole", "6ad4c744177a8cc20bd37ac3a97658ca35c723507f7f9c2dc05493ad5fbf2803"),
    Builtin("1-1-1-fine", "40b124b5238beb4125b3384159da16fdc5d3e4063e754d825549d32268ef0b4d"),
    Builtin("1-1-1-whole", "9f5aea73e6352cf4bd3abd0ae0ddbd87aff174359666a489470d10a3432c5e7c"),
    Builtin("scan-4-fine", "4fb3e25055c409badc8902dec215fcf31d55368f46f7dc9e0b8350c991f8a875"),
    Builtin("scan-4-whole", "d2d0df1ed92ee6ec93786315b1cbfb01a7668b44ba0287aa18aa36b5d83fb747"),
    Builtin("1-1-2-fine", "834b0eda7e4927f097b1914ab23ecbfcffd2d5ef6e173cc3b14c980579a52bfa"),
    Builtin("1-1-2-whole", "8ed828674031adf058e566bdf49e3193f0c81e55893759b96072756b22555ae3"),
    Builtin("4-fine", "a1d06e469a5f22642ed9401a2c5932373d8ca6a517799345640b8d437b0eb86c"),
    Builtin("4-whole", "1ad825ad4547f42ac1a43e1b1cccacf490b95cb6c9c488a6858878be79b8f9ba"),
)


def _way(sizes: ContextSizes) -> tuple[Any, ...]:
    return tuple(len(axes) for axes in sizes.order), len(sizes.scan), sizes.columns


def number_for(sizes: ContextSizes, *, whole: bool) -> int:
    """Return the number of the network for a way over the axes; 0: there is none."""
    if sizes.spike is not None:
        return 0
    found = [n for n, b in enumerate(BUILTINS, start=1) if b.whole == whole and _way(b.sizes) == _way(sizes)]
    return found[-1] if found else 0


@lru_cache(maxsize=32)
def _loaded(number: int) -> ContextNet:
    known = BUILTINS[number - 1]
    path = FOLDER / f"{known.name}.net"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelMismatch(f"the built-in network {path} cannot be read ({error.strerror}): install aezip again") from error
    if hashlib.sha256(data).hexdigest() != known.sha256:
        raise ModelMismatch(f"the built-in network {path} is not what it was: install aezip again")
    return net_from_bytes(Cursor(data), known.sizes)


def load(number: int, sizes: ContextSizes) -> ContextNet:
    """Return a built-in network for an array's axes.

    Parameters
    ----------
    number
        As `number_for` gives it.
    sizes
        Of the plan: the way over its axes, precision.

    Raises
    ------
    CorruptFile
        If the network is for another way, or other sizes.
    ModelMismatch
        If the installation lacks its file, or the file was altered.
    """
    net = _loaded(number)
    if _way(net.sizes) != _way(sizes) or sizes.hidden != HIDDEN or sizes.spike is not None:
        raise CorruptFile("the built-in network does not suit the plan: the file is damaged")
    return replace(net, sizes=sizes, types=None)


def to_json(number: int) -> dict[str, Any]:
    """Return how a header names a network."""
    return {"number": number, "sha256": BUILTINS[number - 1].sha256}


def by_number(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as in a header, its built-in network named by the number alone, as frames have it."""
    found = plan.get("builtin")
    return {**plan, "builtin": found["number"]} if isinstance(found, dict) else plan


def by_name(plan: Any) -> Any:
    """Return a plan with its built-in network named by number and digest: the inverse of `by_number`."""
    found = plan.get("builtin") if isinstance(plan, dict) else None
    if type(found) is not int or not 1 <= found <= len(BUILTINS):
        return plan
    return {**plan, "builtin": to_json(found)}


def from_json(value: Any) -> int:
    """Return the number of the network that a header names.

    Raises
    ------
    CorruptFile
        If it is malformed, or the network of that number is another one.
    UnsupportedVersion
        If this version has no such network.
    """
    number = value.get("number") if isinstance(value, dict) else None
    if type(number) is not int or number < 1 or not isinstance(value.get("sha256"), str):
        raise CorruptFile("the plan in the header is malformed: the file is damaged")
    if number > len(BUILTINS):
        raise UnsupportedVersion(f"the file needs the built-in network {number}, which this version has not: update aezip")
    if value["sha256"] != BUILTINS[number - 1].sha256:
        raise CorruptFile(f"the built-in network {number} has another SHA-256 than the file says: the file is damaged")
    return number


_LAYERS = ("first", "second", "mean", "scale")
_TABLES = ("skip", "skip_exponent", "embedding", "pairs")


def _arrays(net: ContextNet) -> list[npt.NDArray[Any]]:
    """Return all numbers of a network, in the order in which changes are stored."""
    layers = [getattr(net, name) for name in _LAYERS]
    return [getattr(layer, f.name) for layer in layers for f in fields(layer)] + [getattr(net, name) for name in _TABLES]


def changes_to_bytes(net: ContextNet, start: ContextNet) -> bytes:
    """Return what a network is more than the one it was trained on from; nothing if it is that one.

    For each array the differences, modulo its type, folded to 0, -1, 1, -2, … = 0, 1, 2, 3, …, by significance of their bytes.
    """
    parts = []
    for mine, old in zip(_arrays(net), _arrays(start), strict=True):
        bits = 8 * mine.itemsize
        change = (mine.astype(np.int64) - old.astype(np.int64) + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        parts.append((np.where(change < 0, -2 * change - 1, 2 * change)).astype(f"<u{mine.itemsize}").reshape(-1))
    if not any(part.any() for part in parts):
        return b""
    return b"".join(split_bytes(part) for part in parts)


def changed(start: ContextNet, cursor: Cursor) -> ContextNet:
    """Read what `changes_to_bytes` wrote, and return the network.

    Raises
    ------
    CorruptFile
        If the bytes do not fit, or the network is not exact.
    """
    found = []
    for old in _arrays(start):
        folded: Int64 = cursor.wide(old.size, f"<u{old.itemsize}").astype(np.int64)
        change = np.where(folded & 1, -(folded + 1) // 2, folded // 2)
        bits = 8 * old.itemsize
        value = (old.astype(np.int64).reshape(-1) + change + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        found.append(value.astype(old.dtype).reshape(old.shape))
    count = len(fields(IntegerLayer))
    layers: dict[str, Any] = {name: IntegerLayer(*found[i * count : (i + 1) * count]) for i, name in enumerate(_LAYERS)}
    tables: dict[str, Any] = dict(zip(_TABLES, found[len(_LAYERS) * count :], strict=True))
    return replace(start, **layers, **tables, types=None)
