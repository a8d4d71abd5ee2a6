"""The choice of combinations that other laws are tested on."""

from itertools import combinations, product

from .cover import every_pair


def pairs(rows) -> set:
    return {(i, row[i], j, row[j]) for row in rows for i, j in combinations(range(len(row)), 2)}


def test_every_two_values_meet_in_few_rows():
    axes = "abcdefg", range(5), "xyz", (True, False)
    rows = every_pair(*axes)
    assert pairs(rows) == pairs(product(*axes))
    assert len(rows) <= 1.2 * 7 * 5
    assert rows == every_pair(*axes)


def test_values_that_stay_apart_and_all_others_meet():
    axes = "abcd", (1, 2, 3), "xy"
    rows = every_pair(*axes, apart=[("a", 1), (3, "y")])
    assert pairs(rows) == pairs(product(*axes)) - {(0, "a", 1, 1), (1, 3, 2, "y")}


def test_one_axis_is_whole():
    assert every_pair("ab", [0]) == [("a", 0), ("b", 0)]
