"""G17: old files decode for ever, to the same bits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import aezip

FILES = sorted((Path(__file__).parent / "golden").glob("v*.aez"))


def test_golden_files_cover_plans_dtypes_and_bounds() -> None:
    plans, dtypes, bounds, contexts = set(), set(), set(), set()
    for path in FILES:
        with aezip.open(path) as archive:
            header = archive["data"].header
        plans.add(header["plan"]["kind"])
        contexts |= {key for key in ("order", "base", "series", "spike") if header["plan"].get(key) not in (None, [])}
        dtypes.add(header["dtype"].lstrip("<>|"))
        bounds.add(header["bound"]["kind"])
    assert plans == {"autoencoder", "columns", "context", "static", "difference", "recall", "bytes"}
    assert contexts == {"order", "base", "series", "spike"}
    assert {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "M8[s]"} <= dtypes
    assert bounds == {"absolute", "range_relative", "point_relative", "psnr", "lossless"}


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_golden_file_decodes_to_the_same_bits(path: Path, threads: int) -> None:
    facts = json.loads(path.with_suffix(".json").read_text())
    y = aezip.decompress(path, threads=threads)
    assert list(y.shape) == facts["shape"]
    assert y.dtype.str == facts["dtype"]
    assert hashlib.sha256(y.tobytes()).hexdigest() == facts["sha256"]


def test_golden_estimates_have_the_same_bits() -> None:
    (path,) = (p for p in FILES if p.stem.endswith("ratings"))
    facts = json.loads(path.with_suffix(".json").read_text())
    with aezip.open(path) as archive:
        assert archive._reader.root["features"] == ["mask-margins"]
        assert hashlib.sha256(archive.predict().astype("<f8").tobytes()).hexdigest() == facts["estimates"]
