from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.loader import Steps
from ddpm.data.open import open_source
from ddpm.data.pairs import LOW, paired, with_low
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from refusal import refuses


def named(*names: str, side: int = 8) -> Dataset:
    """An image of a value of its own for each name, in the order of the names."""
    values = np.array([hash_of(name) for name in names], np.uint8)
    return Dataset(np.broadcast_to(values[:, None, None, None], (len(names), side, side, 1)).copy(), names=names)


def hash_of(name: str) -> int:
    return ord(name.rpartition("/")[2][0])


def test_partners_meet_whatever_order_and_suffix() -> None:
    both = paired(named("b/x.png", "b/a.png", "c.png"), named("c.jpg", "b/a.jpg", "b/x.png", side=2), "small")
    assert both.partners[LOW].shape == (2, 2, 1)
    assert both.partners[LOW].images[:, 0, 0, 0].tolist() == [hash_of(name) for name in both.names]
    part = both.subset(np.array([2, 0]))
    assert part.partners[LOW].images[:, 0, 0, 0].tolist() == part.images[:, 0, 0, 0].tolist()


def test_partners_meet_in_either_form_of_a_letter() -> None:
    both = paired(named("caf\u00e9.png"), named("cafe\u0301.jpg", side=2), "small")
    assert len(both.partners[LOW]) == 1


@pytest.mark.parametrize(
    ("high", "low", "said"),
    [
        (["a.png", "b.png"], ["a.png"], r"^b has no partner in small; add"),
        (
            ["a.png"],
            ["a.png", "c.png", "d.png"],
            r"^c, d have no partner among .* from small",
        ),
        ([f"{i:02}.png" for i in range(13)], ["x.png"], r"00, .*09 and 3 more have no partner in small"),
        (["a.png"], ["a.png", "a.jpg"], r"two images of small are named a;"),
        (["a.png", "a.jpg"], ["a.png"], r"two images of the large images are named a;"),
    ],
)
def test_images_without_a_partner_are_named_and_refused(high: list[str], low: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        paired(named(*high), named(*low), "small")


def test_many_pairs_are_compared_by_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is hashed a few times, not once for every other."""
    looks = 0

    class Name(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal looks
            looks += 1
            return super().__hash__()

    monkeypatch.setattr("ddpm.data.pairs.posixpath.splitext", lambda name: (Name(name), ""))
    names = [f"{i:03}" for i in range(200)]
    assert LOW in paired(named(*names), named(*reversed(names), side=2), "small").partners
    assert looks <= 10 * len(names)


def test_folders(folder: Callable[..., Path]) -> None:
    """The small images are brought to the size that the scale says."""
    high = prepare(open_source(folder(5, size=(8, 12))), Geometry())
    small = folder(5, size=(4, 6), name="small")
    both = with_low(high, str(small), 2)
    assert both.partners[LOW].shape == (4, 6, 3)
    assert np.array_equal(both.partners[LOW].images, prepare(open_source(small), Geometry()).images)
    with refuses("invalid", "--scale"):
        with_low(high, str(small), 5)


def test_a_mirrored_image_has_a_mirrored_partner() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 4, 4, 1), np.uint8)
    data = Dataset(pixels, partners={LOW: Dataset(pixels[:, :, ::2].copy())})
    batch = Steps(data, batch=32, seed=0, flip=True)[0]
    mirrored = 0
    for image, low, i in zip(batch.images, batch.conditions[LOW], batch.indices, strict=True):
        turned = not np.array_equal(image, pixels[i])
        mirrored += turned
        part = pixels[i][:, ::2]
        assert np.array_equal(low, part[:, ::-1] if turned else part)
    assert 0 < mirrored < 32
