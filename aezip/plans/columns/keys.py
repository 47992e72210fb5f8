"""In which order the values of a column are coded: by rows, or sorted by a key, which a reader knows from earlier columns.

Rows that agree in one column often agree in others: a flight number goes with a route, a user with a place. Sorted by the key,
a column stands still where it depends on it, or changes little: Vo & Vo, "Compressing table data with column dependency" (2007).
Knows nothing of files.
"""

from __future__ import annotations

import numpy as np

from aezip.core.types import Int64, Mask

from .clusters import Groups, chosen


def rows_by(key: int, groups: list[Groups], kept: Mask | None) -> Int64 | None:
    """Return the rows of a column in the order of coding; None: all, as they are.

    Parameters
    ----------
    key
        0 for none, else the number of a grouping (`clusters.chosen`); rows of a group keep their order.
    groups
        Groupings of all rows.
    kept
        Which rows are coded, or None.
    """
    rows = None if kept is None else np.flatnonzero(kept)
    by = chosen(key, groups)
    if by is None:
        return rows
    order = np.argsort(by.of if rows is None else by.of[rows], kind="stable")
    return order if rows is None else rows[order]


def along(groups: list[Groups], rows: Int64 | None) -> list[Groups]:
    """Return groupings of some rows in their order, each found where it is looked at."""
    if rows is None:
        return groups
    return [Groups(lambda one=one: one.of[rows]) for one in groups]  # type: ignore[misc]
