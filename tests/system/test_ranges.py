"""Several numbers in one flag, and multiples."""

import pytest

from ddpm.system.ranges import nearest_multiple, span, spelled, whole_numbers
from refusal import refuses


@pytest.mark.parametrize(
    ("text", "numbers", "again"),
    [
        ("4", (4,), "4"),
        (4, (4,), "4"),
        ("2-5", (2, 3, 4, 5), "2-5"),
        ("4, 1,2", (1, 2, 4), "1,2,4"),
        ("1-2,2-3", (1, 2, 3), "1-3"),
    ],
)
def test_numbers(text, numbers, again):
    assert whole_numbers("--steps", text) == numbers
    assert spelled(numbers) == again
    assert whole_numbers("--steps", again) == numbers


@pytest.mark.parametrize("text", ["", "5-2", "2-", "1.5", "-3", "a", "1,,2"])
def test_not_numbers(text):
    with refuses("invalid", "--steps"):
        whole_numbers("--steps", text)


@pytest.mark.parametrize(
    ("text", "ends"), [("2", (2, 2)), (1.5, (1.5, 1.5)), ("1-5", (1, 5)), (".5-2.25", (0.5, 2.25))]
)
def test_intervals(text, ends):
    assert span("--guidance", text) == ends


@pytest.mark.parametrize("text", ["", "5-1", "-1", "1-", "a", "1-2-3", "1e9"])
def test_not_intervals(text):
    with refuses("invalid", "--guidance"):
        span("--guidance", text)


@pytest.mark.parametrize(("n", "least", "nearest"), [(16, 1, 16), (19, 1, 16), (21, 1, 24), (3, 1, 8), (3, 4, 32)])
def test_multiples(n, least, nearest):
    assert nearest_multiple(n, 8, least) == nearest
