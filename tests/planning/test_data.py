import pytest

from ddpm.images.geometry import Geometry
from ddpm.planning.data import geometry
from ddpm.planning.request import Request
from refusal import refuses


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ({(32, 32): 5}, (32, 32)),
        ({(33, 47): 5}, (33, 47)),  # for the recipe to refuse, not to change in silence
        ({(128, 96): 5}, (128, 96)),
        ({(512, 512): 5}, (128, 128)),
        ({(1080, 1920): 5}, (64, 128)),
        ({(4000, 100): 5}, (128, 16)),
        ({(70, 80): 1, (500, 400): 9}, (64, 64)),
        ({(20, 20): 6, (500, 400): 5}, (16, 16)),
        ({(5, 9): 3, (6, 6): 3}, (8, 8)),
    ],
)
def test_the_size_that_is_taken_unasked(sizes: dict[tuple[int, int], int], size: tuple[int, int]) -> None:
    assert geometry(sizes, {"RGB": 5}, Request("x")) == Geometry(size, "RGB", "crop")


def test_what_is_asked_is_taken() -> None:
    sizes, modes = {(9, 9): 1, (8, 8): 1}, {"RGB": 1, "L": 1}
    asked = Request("x", size=(16, 24), mode="L", fit="pad")
    assert geometry(sizes, modes, asked) == Geometry((16, 24), "L", "pad")
    with refuses("invalid"):
        geometry(sizes, modes, Request("x", size=(16, 24)))
