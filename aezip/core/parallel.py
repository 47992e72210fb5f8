"""Mapping over items on several threads, in order, with few results in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def within(threads: int, items: int) -> int:
    """Return on how many threads each of so many items is worked on, where they share the threads."""
    return max(1, threads // max(1, items))


def pool_of(threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads that compute as `surroundings.own_arithmetic` does."""
    return ThreadPoolExecutor(threads, initializer=_calmly)


def _calmly() -> None:
    """Ignore floating-point errors: a thread does not inherit what NumPy was told to do about them."""
    import numpy as np

    np.seterr(all="ignore")


def ordered(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Map over items on several threads, in order."""
    if threads == 1:
        yield from map(function, items)
        return
    with pool_of(threads) as pool:
        yield from ahead(function, items, pool, threads)


def ahead(function: Callable[[Item], Result], items: Iterable[Item], pool: ThreadPoolExecutor, most: int) -> Iterator[Result]:
    """Map over items on the threads of a pool, in order, at most `most` results ahead so that memory stays bounded."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
