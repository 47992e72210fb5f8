"""The stream `mask` of section 2 of the page, section 8 (masks of form 4) and section 9 (`recommender`)."""

from __future__ import annotations

import numpy as np

from independent.container import check
from independent.entropy import Coder, Stream, Tables
from independent.networks import Reading, summed


def classes_of(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the class of each value of a chunk."""
    if not data:
        return np.zeros(shape, "u1")
    form, count = data[0], int(np.prod(shape))
    if form == 4:
        return _form_4(Reading(data, 1), *shape)
    check(form < 4, "a known form of mask")
    raw = np.frombuffer(data, "u1", offset=1)
    found = (raw if form % 2 else np.unpackbits(raw)[:count]).reshape(shape)
    return np.bitwise_xor.accumulate(found, axis=0) if form >= 2 else found


def matrix(reading: Reading, n: int, w: int) -> np.ndarray:
    """Return an integer matrix of n rows and w columns."""
    predictors, levels = reading.numbers("u1", w), reading.numbers("u1", w)
    tables = reading.tables(w)
    length = int(reading.numbers("u4", 1)[0])
    stream = Stream(reading.data[reading.at : reading.at + length])
    reading.at += length
    columns = [stream.residuals(tables, np.full(n, i), np.full(n, levels[i])) for i in range(w)]
    stream.close()
    return np.stack([summed(column, int(p)) for column, p in zip(columns, predictors, strict=True)], axis=-1)


def chance(t: np.ndarray) -> np.ndarray:
    """Return the frequency of a one, of 4096, by its logit in eighths."""
    return np.rint(4096 / (1 + np.exp(-t / 8))).clip(1, 4095)


def _tables(chances: np.ndarray) -> Tables:
    """Return the tables of zeros and ones, one for each context."""
    ones = np.where(chances == 254, 4096, np.where(chances == 255, 0, chance(chances - 64.0))).astype("i8")
    return Tables(np.stack([4096 - ones, ones], axis=1))


def _form_4(reading: Reading, rows: int, columns: int) -> np.ndarray:
    block, (groups, *quanta) = int(reading.numbers("u2", 1)[0]), reading.numbers("u1", 3).tolist()
    a, b = matrix(reading, rows, 1)[:, 0], matrix(reading, columns, 1)[:, 0]
    edges = []
    for _ in range(2):
        count = int(reading.numbers("u1", 1)[0])
        edges.append(np.frombuffer(reading.data, "<i8", count, reading.at))
        reading.at += 8 * count
    tables = _tables(reading.numbers("u1", (len(edges[0]) + 1) * (len(edges[1]) + 1)))
    coder = Coder(reading.data[reading.at :])
    order = np.argsort(-b, kind="stable")
    logits = (a[:, None] * quanta[0] + b[order] * quanta[1]).clip(-64, 64)
    p = chance(logits.astype("f8")) / 4096
    scale = np.sqrt(p * (1 - p) + 0.02)
    known = np.zeros((rows, columns), "i8")
    t = np.zeros((columns, columns))
    for begin in range(0, rows, block):
        part = slice(begin, begin + block)
        s = np.sqrt(np.diag(t)) + 192
        weights = np.rint(t / (s[:, None] * s) * 4096)
        surprises = np.zeros(p[part].shape)
        for g in range(groups):
            run = slice(columns * g // groups, columns * (g + 1) // groups)
            similarity = surprises @ weights[:, run]
            context = np.searchsorted(edges[0], logits[part, run], side="right") * (len(edges[1]) + 1)
            context = context + np.searchsorted(edges[1], similarity, side="right")
            found = coder.symbols(tables, context.reshape(-1)).reshape(context.shape)
            known[part, run] = found
            surprises[:, run] = np.rint(64 * (found - p[part, run]) / scale[part, run])
        t += surprises.T @ surprises
    coder.close()
    classes = np.zeros((rows, columns), "u1")
    classes[:, order] = known
    return classes


def estimates(data: bytes) -> np.ndarray:
    """Return what a recommender says of all entries."""
    k, shift = data[:2]
    rows, columns = np.frombuffer(data, "<u4", 2, 2).tolist()
    centre, unit, lowest, highest = np.frombuffer(data, "<f8", 4, 10).tolist()
    reading = Reading(data, 42)
    r, c = matrix(reading, rows, 1 + k), matrix(reading, columns, 1 + k)
    reading.close()
    products = np.rint((r[:, 1:] @ c[:, 1:].T) * 2.0**-shift)
    return (centre + (r[:, :1] + c[:, 0] + products) * unit).clip(lowest, highest)
