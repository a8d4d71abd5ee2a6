from collections.abc import Sequence

import pytest

from cases import cases
from ddpm.engine.indices import chosen
from ddpm.system.errors import InputError


def test_as_given_or_from_0() -> None:
    assert chosen(None, 3) == [0, 1, 2]
    assert chosen(range(5, 7), 2) == [5, 6]
    assert chosen((9, 0), 2) == [9, 0]
    assert chosen([], 0) == []


@cases(
    ("indices", "n", "said"),
    [
        ([1, 2], 1, "^2 indices for 1 image;"),
        ([1], 2, "^1 index for 2 images;"),
        ([], 2, "^0 indices for 2 images;"),
        (range(-1, 1), 2, "^index -1 .*at least 0$"),
    ],
)
def test_what_is_refused(indices: Sequence[int], n: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen(indices, n)
