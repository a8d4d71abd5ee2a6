"""Copies are found and likenesses are not, also where training images are there several times."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from ddpm.metrics import memorisation
from ddpm.metrics.memorisation import THRESHOLD, Thumbnail, TooFew, mirrored, nearest

N, NEW = 120, 40


def smooth(n: int, seed: int, size: int = 32) -> np.ndarray:
    """(n, size, size, 3) uint8 of a few broad blots of colour, no two alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 5, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse])


def blurred(images: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1))) for image in images])


def thumbs(images: np.ndarray) -> torch.Tensor:
    return Thumbnail()(torch.from_numpy(np.ascontiguousarray(images)))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return smooth(N, seed=0)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda x: x, 0.0),
        (lambda x: x[:, :, ::-1], 1e-6),
        (blurred, 0.1),
        (lambda x: blurred(x)[:, :, ::-1], 0.1),
        (lambda x: (x // 2 + 40).astype(np.uint8), 0.1),
    ],
    ids=["exact", "mirrored", "blurred", "blurred and mirrored", "fainter"],
)
def test_a_copy_is_found_at_its_place(change, most, pictures):
    which, distance = nearest(thumbs(change(pictures[20:60])), thumbs(pictures))
    assert which.tolist() == list(range(20, 60))
    assert (distance < THRESHOLD).all()
    assert distance.max() <= most


def test_another_picture_is_no_copy(pictures):
    _, distance = nearest(thumbs(smooth(NEW, seed=1)), thumbs(pictures))
    assert not (distance < THRESHOLD).any()
    assert distance.min() > 2 * THRESHOLD


def test_agrees_with_numpy(pictures):
    images = np.concatenate([smooth(NEW, seed=1), pictures[:5], pictures[5:10, :, ::-1]])
    x, y = thumbs(images).double().numpy(), thumbs(pictures).double().numpy()
    turned = thumbs(images[:, :, ::-1]).double().numpy()
    apart = np.minimum(*(np.linalg.norm(some[:, None] - y, axis=2) for some in (x, turned)))
    closest = apart.argmin(1)
    scale = np.sort(np.linalg.norm(y[closest][:, None] - y, axis=2), 1)[:, 5]  # the first is the image itself
    which, distance = nearest(thumbs(images), thumbs(pictures))
    assert which.tolist() == closest.tolist()
    np.testing.assert_allclose(distance, apart.min(1) / scale, atol=1e-6)
    assert distance.dtype == torch.float64


@pytest.mark.parametrize("tile", [5, 7, 50, 119, 120])
def test_the_tile_changes_nothing(tile, pictures, monkeypatch):
    images = thumbs(np.concatenate([smooth(NEW, seed=1), pictures[:8]]))
    nearby, apart = nearest(images, thumbs(pictures))
    monkeypatch.setattr(memorisation, "TILE", tile)
    which, distance = nearest(images, thumbs(pictures))
    assert torch.equal(which, nearby)
    torch.testing.assert_close(distance, apart, rtol=0, atol=1e-9)


@pytest.mark.parametrize("times", [2, 5, 6, 7, 50])
def test_what_is_there_several_times_hides_no_copy(times, pictures):
    """Nor does it make other pictures copies: their scale is what it is without the repeats, to one neighbour."""
    repeated = thumbs(np.concatenate([pictures, *[pictures[:1]] * (times - 1)]))
    _, distance = nearest(thumbs(np.concatenate([pictures[:1], pictures[:1, :, ::-1], smooth(NEW, seed=1)])), repeated)
    assert (distance < THRESHOLD).tolist() == [True, True] + [False] * NEW
    assert distance[:2].max() < 1e-6
    assert distance.isfinite().all()


def test_brighter_repeats_hide_no_copy(pictures):
    """They have the same thumbnail but for rounding."""
    dark = (pictures // 2).astype(np.uint8)
    repeated = np.concatenate([dark, *[dark[:1] + np.uint8(k) for k in range(1, 100)]])
    _, distance = nearest(
        thumbs(np.concatenate([dark[:1] + np.uint8(100), smooth(NEW, seed=1) // 2])), thumbs(repeated)
    )
    assert (distance < THRESHOLD).tolist() == [True] + [False] * NEW


def test_even_pictures(pictures):
    """All even greys are one picture, as brightness does not count; a picture with something on it is none of them."""
    even = np.stack([np.full((32, 32, 3), value, np.uint8) for value in range(0, 250, 10)])
    which, distance = nearest(
        thumbs(np.concatenate([even[3:4], smooth(NEW, seed=1)])), thumbs(np.concatenate([pictures, even]))
    )
    assert (distance < THRESHOLD).tolist() == [True] + [False] * NEW
    assert int(which[0]) >= N


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_training_images(n, pictures):
    with pytest.raises(TooFew, match="training images"):
        nearest(thumbs(pictures[:3]), thumbs(pictures)[:n])


def test_many_that_do_not_differ_are_too_few(pictures):
    same = thumbs(pictures[:1]).expand(20, -1)
    with pytest.raises(TooFew, match="more than 5 distinct training images"):
        nearest(thumbs(pictures[:1]), torch.cat([same, thumbs(pictures[1:5])]))
    assert nearest(thumbs(pictures[:1]), torch.cat([same, thumbs(pictures[1:6])]))[1].max() < THRESHOLD


def test_mirrored_twice_is_the_same(pictures):
    assert torch.equal(mirrored(mirrored(thumbs(pictures))), thumbs(pictures))
