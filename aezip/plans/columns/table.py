"""Which arrays are tables, and how many ways there are to group a column's values. Knows no coding."""

from __future__ import annotations

MOST_COLUMNS = 64


def is_table(shape: tuple[int, ...]) -> bool:
    """Tell whether arrays of `shape` are coded column by column: those of one axis, or of two with few columns."""
    return len(shape) == 1 or (len(shape) == 2 and shape[1] <= MOST_COLUMNS)


def columns_of(shape: tuple[int, ...]) -> int:
    """Return how many columns arrays of `shape` have: any but a table is one."""
    return shape[1] if len(shape) == 2 and is_table(shape) else 1


def numbers(groupings: int) -> int:
    """Return the greatest number that stands for one of so many groupings, or for a pair of them."""
    return groupings + groupings**2
