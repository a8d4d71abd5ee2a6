"""Several numbers in one flag."""

import pytest

from ddpm.system.ranges import spelled, whole_numbers
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
