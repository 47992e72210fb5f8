"""G17: old files decode for ever, to the same bits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from helpers import GOLDEN

import aezip
from aezip.container import header

FOLDER = GOLDEN
MODELS = FOLDER / "models"
FILES = sorted([*FOLDER.glob("v*.aez"), *MODELS.glob("v*.aez")])


@pytest.fixture(autouse=True)
def models_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEZIP_MODEL_PATH", str(MODELS))


def test_golden_files_cover_plans_dtypes_and_bounds() -> None:
    plans, dtypes, bounds, contexts, lattices = set(), set(), set(), set(), set()
    several, outside, columns = set(), set(), set()
    for path in FILES:
        with aezip.open(path) as archive:
            said = archive["data"]._header
        plans.add(said["plan"]["kind"])
        contexts |= {key for key in ("order", "base", "signal", "spike", "raster") if said["plan"].get(key) not in (None, [])}
        dtypes.add(said["dtype"].lstrip("<>|"))
        bounds.add(said["bound"]["kind"])
        lattices.add(((said["grid"] or {}).get("lattice") or {}).get("kind"))
        columns |= {key for key in ("order", "keys", "networks") if said["plan"].get(key)}
        columns |= {key for key in ("differences", "by_feature") if (said["plan"].get("networks") or {}).get(key)}
        outside.add(said.get("trained", {}).get("embedded"))
        if said["chunk_count"] > 1:
            several.add(said["plan"]["kind"])
    assert plans == {"autoencoder", "columns", "context", "static", "difference", "buckets", "bytes"}
    assert contexts == {"order", "base", "signal", "spike", "raster"}
    assert {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "M8[s]"} <= dtypes
    assert {"integer", "linear", "log", "ordered", "ranks", "staircase", "digits"} <= lattices
    assert several == {"autoencoder", "context", "columns"}
    assert columns == {"order", "keys", "networks", "differences", "by_feature"}
    assert False in outside
    assert bounds == {"absolute", "range_relative", "point_relative", "psnr", "lossless"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_what_headers_leave_out_is_found_again(path: Path) -> None:
    with aezip.open(path) as archive:
        full = archive["data"]._header
    short = header.shorten(full)
    assert header.lengthen(short, "data") == full
    assert len(header.dump(short)) < len(header.dump(full)) - 80


@pytest.mark.train
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_golden_file_decodes_to_the_same_bits(path: Path, threads: int) -> None:
    facts = json.loads(path.with_suffix(".json").read_text())
    y = aezip.decompress(path, threads=threads)
    assert list(y.shape) == facts["shape"]
    if "narrow" in facts:  # a type that NumPy has not: its bits
        assert y.dtype.name == facts["narrow"]
        y = y.view(facts["dtype"])
    assert y.dtype.str == facts["dtype"]
    assert hashlib.sha256(y.tobytes()).hexdigest() == facts["sha256"]


def test_golden_estimates_have_the_same_bits() -> None:
    (path,) = (p for p in FILES if p.stem.endswith("ratings"))
    facts = json.loads(path.with_suffix(".json").read_text())
    with aezip.open(path) as archive:
        assert hashlib.sha256(archive.predict().astype("<f8").tobytes()).hexdigest() == facts["estimates"]


def test_a_golden_model_is_still_itself() -> None:
    (path,) = MODELS.glob("v*.aezm")
    (made,) = (p for p in FILES if p.stem.endswith("reference"))
    model = aezip.Model.load(path)
    assert model.id == json.loads(made.with_suffix(".json").read_text())["model"]
    again = aezip.compress(aezip.decompress(made), bound=model.bound, model=model)[0]
    assert aezip.decompress(again).shape == (60, 30)


def test_a_golden_reference_without_its_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AEZIP_MODEL_PATH")
    (made,) = (p for p in FILES if p.stem.endswith("reference"))
    with pytest.raises(aezip.ModelMismatch):
        aezip.decompress(made)
