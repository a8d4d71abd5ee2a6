"""A denoiser of one size on larger ones."""

import math
from itertools import pairwise

import pytest
import torch

from cases import cases
from ddpm.config.network import UNetSettings
from ddpm.core import Cond, Denoised, Level, NetworkDenoiser, Parameterisation
from ddpm.core.prediction import v
from ddpm.guidance import ClassifierFree
from ddpm.networks.unet import UNet
from ddpm.sampling import DDIM, sample
from ddpm.sampling.windows import Windows, profile, starts, weights_of

LEVEL = Level(5.0, 0.8, 0.6)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pixelwise(x, level, cond=None):
    """The perfect denoiser of pixels that are N(0.2, 0.25), each by itself."""
    gain = 0.25 * level.alpha / (0.25 * level.alpha**2 + level.sigma**2)
    return Denoised(0.2 + gain * (x - 0.2 * level.alpha), x.sigmoid())


def by_place(x, level, cond=None):
    """Tells the timesteps in a window apart, so that the windows disagree."""
    return Denoised(x.flatten(2).cumsum(2).reshape(x.shape), x)


@cases(("space", "size"), [((37,), (8,)), ((19, 30), (8, 16)), ((8, 21), (8, 8)), ((9, 10, 7), (4, 4, 4))])
def test_what_acts_pixel_by_pixel_does_so_in_windows(space, size):
    for overlap in [0.0, 0.25, 0.5, 0.9]:
        x = normal(2, 3, *space)
        found, plain = Windows(pixelwise, size, overlap, 7)(x, LEVEL), pixelwise(x, LEVEL)
        torch.testing.assert_close(found.x0, plain.x0, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.var_mix, plain.var_mix, rtol=0, atol=1e-6)


def test_the_windows_own_size_bit_for_bit():
    for size in [(8,), (8, 6), (4, 3, 5)]:
        x = normal(3, 2, *size)
        found, plain = Windows(by_place, size)(x, LEVEL), by_place(x, LEVEL)
        assert torch.equal(found.x0, plain.x0)
        assert torch.equal(found.var_mix, plain.var_mix)


def test_no_variance_where_none_is_learned():
    assert Windows(lambda x, level, cond=None: Denoised(x), (4,))(normal(1, 1, 9), LEVEL).var_mix is None


def test_the_weighted_mean_of_two_windows():
    """Written out for 6 positions and windows of 4: they begin at 0 and 2."""
    x = normal(1, 1, 6)
    one, other = by_place(x[..., :4], LEVEL).x0[0, 0], by_place(x[..., 2:], LEVEL).x0[0, 0]
    g = [math.sin(math.pi * k / 8) ** 2 for k in (1, 3, 5, 7)]
    middle = [(g[k + 2] * one[k + 2] + g[k] * other[k]) / (g[k + 2] + g[k]) for k in (0, 1)]
    expected = torch.stack([one[0], one[1], *middle, other[2], other[3]])
    torch.testing.assert_close(Windows(by_place, (4,))(x, LEVEL).x0[0, 0], expected, rtol=0, atol=1e-6)


def test_windows_cover_all_evenly_and_overlap_enough():
    for overlap in [0.0, 0.25, 0.5, 0.7, 0.99]:
        for length in [8, 9, 12, 15, 16, 17, 31, 100]:
            found = starts(length, 8, overlap)
            strides = [b - a for a, b in pairwise(found)]
            assert (found[0], found[-1]) == (0, length - 8)
            if strides:
                assert 1 <= min(strides) <= max(strides) <= max(1, 8 * (1 - overlap))
                assert max(strides) - min(strides) <= 1
                # one window fewer would overlap less
                assert len(strides) == 1 or (length - 8) / (len(strides) - 1) > max(1, math.floor(8 * (1 - overlap)))


def test_weights_fade_but_never_vanish():
    for size in [1, 2, 5, 32]:
        weight = profile(size)
        assert weight.min() > 0
        torch.testing.assert_close(weight, weight.flip(0))
        assert (weight.diff()[: size // 2 - 1] > 0).all()


def test_shares_add_up_to_one():
    begins = starts(37, 8, 0.5)
    total, alone = torch.zeros(37, dtype=torch.float64), weights_of(begins, 37, 8)
    for a, share in zip(begins, alone, strict=True):
        total[a : a + 8] += share
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-15)
    assert (alone[0, :4] == 1).all()


@cases(("batch", "calls"), [(1, 27), (4, 7), (27, 1), (100, 1)])
def test_a_call_has_no_more_windows_than_its_batch(batch, calls):
    asked = []

    def denoise(x, level, cond=None):
        asked.append(len(x))
        return Denoised(x)

    Windows(denoise, (4, 4), 0.5, batch)(normal(3, 1, 8, 8), LEVEL)  # 3 images of 3 · 3 windows
    assert len(asked) == calls
    assert sum(asked) == 27
    assert max(asked) <= batch
    assert max(asked) - min(asked) <= 1


def test_an_image_does_not_depend_on_its_company():
    for batch in [1, 3, 64]:
        x = normal(3, 2, 9, 13)
        together = Windows(by_place, (4, 6), 0.5, batch)(x, LEVEL).x0
        for i in range(3):
            assert torch.equal(Windows(by_place, (4, 6), 0.5, 5)(x[i : i + 1], LEVEL).x0, together[i : i + 1])


def test_each_window_is_told_of_its_image_also_through_guidance():
    """The answer is the condition alone, pushed away from that of the null: 3 · own - 2 · null."""

    def denoise(x, level, cond=None):
        return Denoised(cond.vector[:, :, None].expand_as(x))

    own, null = torch.tensor([[1.0], [5.0]]), Cond(torch.tensor([[10.0]]))
    found = Windows(ClassifierFree(denoise, null, 3.0), (4,), 0.5, 3)(normal(2, 1, 11), LEVEL, Cond(own)).x0
    torch.testing.assert_close(found[:, 0], (3 * own - 20).expand(2, 11), rtol=0, atol=1e-5)


def test_an_image_among_the_conditions_is_cropped_alongside():
    """A denoiser that gives it back finds in each window what belongs there."""
    for batch in [1, 4, 64]:
        image = normal(3, 2, 9, 13)
        found = Windows(lambda x, level, cond=None: Denoised(cond.image), (4, 6), 0.5, batch)(
            torch.zeros_like(image), LEVEL, Cond(image=image)
        )
        torch.testing.assert_close(found.x0, image, rtol=0, atol=1e-6)


@cases(
    ("size", "overlap", "batch", "said"),
    [
        ((), 0.5, 1, "size"),
        ((4, 0), 0.5, 1, "size"),
        ((4,), 1.0, 1, "overlap"),
        ((4,), -0.1, 1, "overlap"),
        ((4,), 0.5, 0, "batch"),
    ],
)
def test_what_cannot_be_a_window(size, overlap, batch, said):
    with pytest.raises(ValueError, match=said):
        Windows(pixelwise, size, overlap, batch)


@cases("space", [(7,), (8, 3), (8, 8, 8)])
def test_an_image_that_no_window_fits(space):
    with pytest.raises(ValueError, match="as large as a window"):
        Windows(pixelwise, (8, 4) if len(space) > 1 else (8,))(normal(1, 1, *space), LEVEL)


def field(n: int) -> torch.Tensor:
    """Covariance (n, n) of n neighbours in a long stationary field: ``0.25 exp(-(distance / 3)² / 2)``."""
    timestep = torch.arange(n, dtype=torch.float64)
    return 0.25 * (-(((timestep[:, None] - timestep) / 3) ** 2) / 2).exp()


def perfect(cov: torch.Tensor):
    """The perfect denoiser of N(0, cov) data, (B, 1, n)."""

    def denoise(x, level, cond=None):
        noisy = level.alpha**2 * cov + level.sigma**2 * torch.eye(len(cov), dtype=torch.float64)
        return Denoised(level.alpha * x @ torch.linalg.solve(noisy, cov))

    return denoise


def test_the_more_overlap_the_nearer_to_the_denoiser_of_the_whole():
    x = LEVEL.alpha * normal(64, 1, 96).double() @ torch.linalg.cholesky(field(96) + 1e-6 * torch.eye(96)).mT
    x = x + LEVEL.sigma * normal(64, 1, 96, seed=1).double()
    exact = perfect(field(96))(x, LEVEL).x0
    errors = [
        float((Windows(perfect(field(24)), (24,), overlap)(x, LEVEL).x0 - exact).square().mean().sqrt())
        for overlap in (0.0, 0.25, 0.5, 0.75)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.1 * errors[0]


def roughness(x: torch.Tensor, begins: list[int], size: int) -> float:
    """Mean squared step of x (B, 1, n) across the borders of the windows, as a multiple of that elsewhere."""
    steps = x.diff(dim=-1).square().mean((0, 1))
    border = torch.zeros(len(steps), dtype=torch.bool)
    border[[at - 1 for a in begins for at in (a, a + size) if 0 < at <= len(steps)]] = True
    return float(steps[border].mean() / steps[~border].mean())


@cases("overlap", [0.5, 0.75])
def test_samples_have_no_seams(overlap):
    """Of 500 fields, four times as long as the window, steps across borders are within 10 % of the others; side by
    side, without overlap, windows know nothing of each other, and the steps are several times as large."""
    grid = [Level(0.0, math.cos(a), math.sin(a)) for a in (math.pi / 2 * (1 - i / 30) for i in range(30))]
    grid.append(Level(0.0, 1.0, 0.0))

    def draw(share: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        randn = lambda: torch.randn(500, 1, 96, dtype=torch.float64, generator=generator)  # noqa: E731
        return sample(Windows(perfect(field(24)), (24,), share, 10_000), DDIM(), grid, randn)

    assert roughness(draw(overlap), starts(96, 24, overlap), 24) == pytest.approx(1, abs=0.1)
    assert roughness(draw(0.0), starts(96, 24, 0.0), 24) > 3


def test_a_network_leaves_no_seams():
    """Steps of a random U-Net's answer across borders are within 10 % of the others, where those of windows side by
    side stand out: its padding makes the same pixels look otherwise at a border than within."""
    torch.manual_seed(0)
    net = UNet(UNetSettings(in_channels=1, out_channels=1, width=8, multipliers=(1, 2), attention=(2,))).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn_like(p) / max(1, p[0].numel()) ** 0.5)
        x = normal(8, 1, 64, 64)
        denoise = NetworkDenoiser(net, Parameterisation(v))

        def seams(overlap: float) -> float:
            x0 = Windows(denoise, (16, 16), overlap, 256)(x, LEVEL).x0 - LEVEL.alpha * x
            # rows as images: (B, 1, h, w) -> (B · h, 1, w)
            return roughness(x0.flatten(0, 2)[:, None], starts(64, 16, overlap), 16)

        assert seams(0.5) == pytest.approx(1, abs=0.1)
        assert seams(0.0) > 1.3


def test_gradients_go_through_in_one_call_as_in_many():
    """Of many calls none keeps what it computed, and all are asked again."""
    asked = 0

    def denoise(x, level, cond=None):
        nonlocal asked
        asked += 1
        return Denoised((x.flatten(1).cumsum(1).sin()).reshape(x.shape))

    x, p = normal(2, 1, 20).double().requires_grad_(), normal(2, 1, 20, seed=1).double()
    found = []
    for batch, calls in ((64, (1, 1)), (2, (4, 8))):
        asked = 0
        out = Windows(denoise, (8,), batch=batch)(x, LEVEL).x0
        first = asked
        (gradient,) = torch.autograd.grad(out, x, p)
        assert (first, asked) == calls
        found.append(gradient)
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)
