from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm.config.data import DataConfig
from ddpm.data.cache import prepare
from ddpm.data.open import reopen_source
from ddpm.images.geometry import Geometry
from ddpm.planning.data import gather, geometry
from ddpm.planning.draft import data_section
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


@pytest.mark.parametrize(
    ("split", "images", "held_out"), [(None, 6, 3), ("train", 6, 3), ("val", 3, 0), ("test", 3, 0), ("all", 12, 0)]
)
def test_the_images_of_a_run_are_found_again(
    folder: Callable[..., Path], split: str | None, images: int, held_out: int
) -> None:
    for part, n in (("train", 6), ("val", 3), ("test", 3)):
        folder(n, classes=("10", "9", "a"), name=f"photos/{part}")
    request = Request(str(folder(0)), split=split, max_pixels=64)
    _, dataset = gather(request)
    own = DataConfig(**data_section(request, dataset, 0), classes=dataset.classes)
    assert (own.images, own.held_out, own.classes) == (images, held_out, ("9", "10", "a"))
    for classes in (own.classes, ("10", "9", "a")):  # as in text order
        source = reopen_source(own.model_copy(update={"classes": classes}))
        again = prepare(source, Geometry(own.size, own.mode, own.fit))
        assert again.classes == classes
        assert (again.fingerprint == own.fingerprint) == (classes == own.classes)
