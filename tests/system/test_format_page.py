"""The page of the format names all that is written: every feature, stream, kind and key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import GOLDEN, ROOT, head_of

from aezip.array import bounds
from aezip.container import header
from aezip.plans.autoencoder import variants
from aezip.quantize import registry

TEXT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
# the example quotes headers: that explains no key
PROSE = re.sub(r"^```.*?^```", "", TEXT.partition("\n## 12. An example\n")[0], flags=re.M | re.S)
# in backticks, alone or as a part: `{"kind": …}`
NAMED = {word for part in re.findall(r"`([^`\n]+)`", PROSE) for word in re.findall(r"[A-Za-z_][\w-]*", part)}
FILES = sorted([*GOLDEN.glob("*.aez"), *(GOLDEN / "models").glob("*.aez*")])


def stored(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the header of a file as it is written."""
    yield head_of(path)[0]


def words(value: Any) -> Iterator[str]:
    """Yield all keys, and the values of keys that name a kind."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key in ("kind", "variant", "type") and isinstance(inner, str):
                yield inner
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_key_that_is_written_is_on_the_page(path: Path) -> None:
    for said in stored(path):
        assert {word for word in words(said) if word not in NAMED} == set()


def test_every_registered_name_is_on_the_page() -> None:
    names = {*header.FEATURES, *header.STREAMS, *variants.VARIANTS}
    classes = [kind for kind in vars(bounds).values() if isinstance(kind, type) and issubclass(kind, bounds.Bound)]
    names |= {kind.kind for kind in classes if kind is not bounds.Bound}
    names |= {lattice.kind for lattice, _ in registry.LATTICES}
    assert names - NAMED == set()


def test_the_page_is_of_this_version() -> None:
    assert TEXT.startswith(f"# The aezip file, format {'.'.join(map(str, header.VERSION))}\n")


def test_every_built_in_network_has_its_line() -> None:
    from aezip.plans.context.builtin import BUILTINS

    page = (ROOT / "docs" / "builtin.md").read_text(encoding="utf-8")
    for number, known in enumerate(BUILTINS, start=1):
        assert re.search(rf"^\| {number} \| `{known.name}\.net` \| \d+ \| `{known.sha256}` \|$", page, re.M), known.name
