"""Few combinations that bring every two values together."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Any


def every_pair(*axes: Iterable[Any], apart: Iterable[tuple[Any, Any]] = ()) -> list[tuple[Any, ...]]:
    """Rows of one value an axis, in which any two values of two axes stand side by side at least once.

    For laws of two parts at a time, where the full product proves no more. Greedy: the first pair that is missing, then
    axis by axis the value that brings in most of the others. The same axes give the same rows.

    Args:
        axes: the values of each, all different.
        apart: two values, the earlier axis' first, that never stand together.
    """
    values, never = [list(axis) for axis in axes], list(apart)

    def may(i: int, a: int, j: int, b: int) -> bool:
        return (values[i][a], values[j][b]) not in never if i < j else may(j, b, i, a)

    missing = {
        (i, a, j, b): None
        for i, j in combinations(range(len(values)), 2)
        for a, b in product(range(len(values[i])), range(len(values[j])))
        if may(i, a, j, b)
    }  # a dictionary, for its order

    def gain(row: dict[int, int], k: int, c: int) -> int:
        return sum(((i, a, k, c) if i < k else (k, c, i, a)) in missing for i, a in row.items())

    rows = []
    while missing:
        i, a, j, b = next(iter(missing))
        row = {i: a, j: b}
        for k in range(len(values)):
            if k not in row:
                fits = [c for c in range(len(values[k])) if all(may(i, a, k, c) for i, a in row.items())]
                row[k] = max(fits, key=lambda c, row=row, k=k: gain(row, k, c))
        for pair in combinations(sorted(row.items()), 2):
            missing.pop((*pair[0], *pair[1]), None)
        rows.append(tuple(values[k][row[k]] for k in range(len(values))))
    return rows
