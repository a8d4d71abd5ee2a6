"""The noise of image i is a function of (seed, i)."""

import torch

from ddpm.core import Stream
from ddpm.core.seed import derive, key
from ddpm.sampling import SampleNoise, rows_of

SHAPE = (3, 4, 5)


def draws(noise: SampleNoise, n: int = 3) -> torch.Tensor:
    """n draws for B images: (n, B, C, H, W)."""
    return torch.stack([noise() for _ in range(n)])


def test_an_image_of_a_batch_is_the_image_alone():
    together = draws(SampleNoise(rows_of(7, range(16)), SHAPE))
    assert together.shape == (3, 16, *SHAPE)
    for i in range(16):
        assert torch.equal(together[:, i : i + 1], draws(SampleNoise(rows_of(7, [i]), SHAPE)))
    assert torch.equal(together[:, [9, 2]], draws(SampleNoise(rows_of(7, [9, 2]), SHAPE)))


def test_same_seed_same_noise():
    assert torch.equal(draws(SampleNoise(rows_of(7, [0, 1]), SHAPE)), draws(SampleNoise(rows_of(7, [0, 1]), SHAPE)))


def test_nothing_else_is_the_same():
    """Seeds, images and draws have nothing in common; seed 0 image 1 is not seed 1 image 0."""
    both = torch.cat([draws(SampleNoise(rows_of(seed, [0, 1]), SHAPE)).flatten(0, 1) for seed in (0, 1)]).flatten(1)
    same = (both[:, None] == both[None]).any(-1)
    assert torch.equal(same, torch.eye(12, dtype=torch.bool))


def test_the_global_stream_is_neither_read_nor_moved():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = draws(SampleNoise(rows_of(7, [0]), SHAPE))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(draws(SampleNoise(rows_of(7, [0]), SHAPE)), first)


def test_standard_normal():
    """Mean and variance within five standard errors of 100,000 draws; no correlation between images."""
    n = 100_000
    x = SampleNoise(rows_of(3, [0, 1]), (n,))().double()
    assert x.mean(1).abs().max() < 5 / n**0.5
    assert (x.var(1) - 1).abs().max() < 5 * (2 / n) ** 0.5
    assert (x[0] * x[1]).mean().abs() < 5 / n**0.5


def test_an_image_is_a_stream_of_its_own():
    for shape in [(1, 4), SHAPE, (3, 32, 32)]:
        noise, own = SampleNoise(rows_of(7, [4, 9]), shape), Stream(7, "image", 9)
        for _ in range(3):
            assert torch.equal(noise()[1], own.normal(*shape))


def test_any_number_of_spatial_axes():
    for shape in [(1, 4), (1, 4, 4), (1, 2, 2, 2)]:
        noise = SampleNoise(rows_of(0, [0, 1]), shape)()
        assert noise.shape == (2, *shape)
        assert noise.dtype == torch.float32


def test_images_whose_hashes_share_32_bits_differ():
    """A generator that keeps 32 bits of its seed draws the same pictures for each of these pairs."""
    assert derive(0, 16352) % 2**32 == derive(0, 169192) % 2**32
    assert key(0, "image", 95717) % 2**32 == key(0, "image", 125363) % 2**32
    for pair in [(16352, 169192), (95717, 125363)]:
        a, b = SampleNoise(rows_of(0, pair), (4096,))().double()
        assert (a == b).sum() < 5
        assert (a * b).mean().abs() < 5 / 4096**0.5
