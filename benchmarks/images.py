"""``python -m benchmarks.images``: lossless images against image codecs, every image in a file of its own and all in one mosaic.

PNG and WebP by pillow, JPEG XL, JPEG-LS and JPEG 2000 by imagecodecs, at their greatest effort. Each is decoded and compared.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import DATASETS, Array
from benchmarks.measure import RESULTS, environment, revision, version

NAMES = ("fashion_mnist", "olivetti_faces", "fmi_radar")
Codec = tuple[Callable[[Array], bytes], Callable[[bytes], Array]]


def _pillow(kind: str, **options: Any) -> Codec:
    from PIL import Image

    def encode(image: Array) -> bytes:
        out = io.BytesIO()
        Image.fromarray(image).save(out, kind, **options)
        return out.getvalue()

    def decode(data: bytes) -> Array:
        picture = np.asarray(Image.open(io.BytesIO(data)))
        return picture if picture.ndim == 2 else picture[..., 0]  # WebP has no grey

    return encode, decode


def codecs() -> dict[str, Codec]:
    """Return encode and decode of each image codec."""
    import imagecodecs as ic

    return {
        "PNG": _pillow("PNG", optimize=True),
        "WebP": _pillow("WEBP", lossless=True, quality=100, method=6),
        "JPEG XL": (lambda x: bytes(ic.jpegxl_encode(x, lossless=True, effort=9)), ic.jpegxl_decode),
        "JPEG-LS": (lambda x: bytes(ic.jpegls_encode(x)), ic.jpegls_decode),
        "JPEG 2000": (lambda x: bytes(ic.jpeg2k_encode(x, reversible=True, level=0)), ic.jpeg2k_decode),
    }


def mosaic(images: Array) -> Array:
    """Return all images side by side in one, about as high as wide; empty places are 0."""
    count, high, wide = images.shape
    across = math.ceil(math.sqrt(count * high / wide))
    down = -(-count // across)
    full = np.zeros((down * across, high, wide), images.dtype)
    full[:count] = images
    joined = full.reshape(down, across, high, wide).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(joined.reshape(down * high, across * wide))


def peer_bytes(images: Array, codec: Codec) -> dict[str, int]:
    """Return the bytes of all images one by one, and of the mosaic; raise if one does not come back."""
    encode, decode = codec
    total = 0
    for image in images:
        data = encode(image)
        total += len(data)
        if not np.array_equal(decode(data), image):
            raise ValueError("not lossless")
    whole = mosaic(images)
    data = encode(whole)
    if not np.array_equal(decode(data), whole):
        raise ValueError("not lossless")
    return {"each": total, "mosaic": len(data)}


def aezip_row(images: Array, preset: str, fill: float | None) -> dict[str, Any]:
    """Return bytes, plan and candidates of aezip."""
    import aezip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.aez"
        report = aezip.compress(images, path, preset=preset, fill_value=fill)
        if aezip.decompress(path).tobytes() != images.tobytes():
            raise ValueError("not lossless")
        one = report.arrays[0]
        return {"bytes": path.stat().st_size, "plan": one.plan, "candidates": one.candidates}


def lines(rows: list[dict[str, Any]], preset: str) -> list[str]:
    """Return the table."""
    names = list(rows[0]["peers"])
    out = [
        "# Lossless images",
        "",
        "Bytes of all images: each in a file of its own, or all in one mosaic. Every file was decoded and compared. aezip: "
        f"preset {preset}, one file, container and model counted. Image codecs at their greatest effort.",
        "",
        "| data | images | raw | **aezip** | " + " | ".join(f"{n}, each | mosaic" for n in names) + " | best over aezip |",
        "|---|---|--:|--:|" + "--:|--:|" * len(names) + "--:|",
    ]
    for row in rows:
        sizes = [size for name in names for size in (row["peers"][name]["each"], row["peers"][name]["mosaic"])]
        shape = "x".join(map(str, row["shape"]))
        own = row["aezip"]["bytes"]
        cells = " | ".join(f"{s:,}" for s in sizes)
        out.append(f"| {row['data']} | {shape} | {row['raw_bytes']:,} | **{own:,}** | {cells} | {min(sizes) / own:.3f} |")
    out += ["", "What aezip chose, and what it tried:", ""]
    for row in rows:
        out += [f"- {row['data']}: {'; '.join(row['aezip']['candidates'])}"]
    return out


def main() -> None:
    """Measure and write ``images.md`` and ``images.json``; results of peers that are there are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--data", nargs="+", default=list(NAMES), choices=list(DATASETS))
    parser.add_argument("--preset", default="balanced", choices=["fast", "balanced", "best"])
    parser.add_argument("--peers-only", action="store_true", help="Leave aezip's rows as they are.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    place = options.out / "images.json"
    known = {r["data"]: r for r in json.loads(place.read_text())["rows"]} if place.exists() else {}
    for name in options.data:
        dataset = DATASETS[name]
        images = dataset.load()
        row = known.setdefault(name, {"data": name, "shape": list(images.shape), "raw_bytes": images.nbytes, "peers": {}})
        for label, codec in codecs().items():
            if label not in row["peers"]:
                row["peers"][label] = peer_bytes(images, codec)
                print(name, label, row["peers"][label], flush=True)
        if not options.peers_only:
            row["aezip"] = aezip_row(images, options.preset, dataset.fill)
            print(name, row["aezip"], flush=True)
        packages = {n: version(n) for n in ("aezip", "pillow", "imagecodecs")}
        about = {"packages": packages, "commit": revision(), "environment": environment(), "preset": options.preset}
        place.write_text(json.dumps({**about, "rows": list(known.values())}, indent=1) + "\n", encoding="utf-8")
    done = [row for row in known.values() if "aezip" in row]
    if done:
        (options.out / "images.md").write_text("\n".join(lines(done, options.preset)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
