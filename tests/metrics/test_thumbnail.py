"""What a thumbnail keeps, and what it does not."""

import numpy as np
import torch

from ddpm.metrics.memorisation import FAINT, Thumbnail, mirrored

SIZES = [(8, 8), (32, 32), (1, 1), (5, 3), (7, 9), (24, 40), (33, 47), (64, 8)]


def random(n: int, size: tuple[int, int], channels: int = 3, low: int = 0, high: int = 256) -> torch.Tensor:
    values = np.random.default_rng(0).integers(low, high, (n, *size, channels), np.uint8)
    return torch.from_numpy(values)


def test_any_size_and_mode():
    for channels in [1, 3, 4]:
        for size in SIZES:
            found = Thumbnail()(random(3, size, channels))
            assert found.shape == (3, Thumbnail.dim)
            assert found.dtype == torch.float32
            assert found.isfinite().all()
            assert (found.sum(1).abs() < 1e-5).all()
            assert (torch.linalg.vector_norm(found, dim=1) < 1).all()


def test_of_a_picture_of_its_size_it_is_the_picture():
    image = random(1, (8, 8))
    flat = image[0].movedim(-1, 0).flatten().double() / 127.5 - 1
    flat -= flat.mean()
    torch.testing.assert_close(Thumbnail()(image)[0].double(), flat / (flat.norm() + FAINT), rtol=0, atol=1e-6)


def test_grey_is_as_in_colour_and_what_is_clear_is_white():
    grey, clear = random(2, (9, 9), 1), random(2, (9, 9), 4)
    assert torch.equal(Thumbnail()(grey), Thumbnail()(grey.expand(-1, -1, -1, 3)))
    clear[..., 3] = 255
    assert torch.equal(Thumbnail()(clear), Thumbnail()(clear[..., :3]))
    clear[..., 3] = 0
    assert not Thumbnail()(clear).any()


def test_the_mirror_image_has_the_mirrored_thumbnail():
    for size in SIZES:
        images = random(4, size)
        torch.testing.assert_close(mirrored(Thumbnail()(images)), Thumbnail()(images.flip(2)), rtol=0, atol=1e-6)


def test_brightness_does_not_count():
    images = random(4, (16, 16), high=200)
    torch.testing.assert_close(Thumbnail()(images + 50), Thumbnail()(images), rtol=0, atol=1e-6)


def test_contrast_hardly_counts():
    """The direction is the same; the length tends to 1, with ``FAINT`` of the length before."""
    images = random(4, (16, 16), high=120)
    one, two = Thumbnail()(images), Thumbnail()(2 * images)
    length = [torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (one, two)]
    torch.testing.assert_close(one / length[0], two / length[1], rtol=0, atol=1e-6)
    before = FAINT * length[0] / (1 - length[0])
    torch.testing.assert_close(length[1], 2 * before / (2 * before + FAINT), rtol=0, atol=1e-5)


def test_an_even_picture_has_nothing_that_could_be_copied():
    values = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 12, 12, 3)
    assert torch.linalg.vector_norm(Thumbnail()(values), dim=1).max() < 1e-12


def test_an_image_has_the_same_bits_in_any_batch():
    images = random(70, (20, 12))
    whole = Thumbnail()(images)
    for batch in (1, 3, 64):
        assert torch.equal(torch.cat([Thumbnail()(part) for part in images.split(batch)]), whole)
