"""Our solvers draw what diffusers' schedulers draw, from the same weights, start and noise.

The network is that of google/ddpm-cifar10-32, but narrower. Theirs is float32 in the tables too.
"""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from cases import cases
from ddpm.config.network import UNetSettings
from ddpm.core import NetworkDenoiser, Parameterisation, prediction, scale
from ddpm.core.discrete import linear
from ddpm.guidance import Clipped
from ddpm.networks import UNet
from ddpm.sampling import DDIM, Ancestral, fixed_large, fixed_small, steps
from ddpm.sampling.grid import trailing

from .diffusers_unet import CIFAR10, copy_weights

STEPS = 50
SCHEDULE = linear()
LEADING = list(range(980, -1, -20))


class TrainedLike:
    """The noise that a network says, ``sigma · x + 2 alpha · F``: as of a trained one, most of x where x is noise.

    The noise that random weights alone say would lead to samples of size 1000. Here x0 is ``alpha · x - 2 sigma · F``,
    part of it beyond [-1, 1].
    """

    def __init__(self, net):
        self.net = net

    def __call__(self, x, t, cond=None):
        level = SCHEDULE.levels(t.long() + 1)
        said = self.net(x, t)
        return scale(level.sigma, x) + scale(2 * level.alpha, said if isinstance(said, torch.Tensor) else said.sample)


def pair(settings: UNetSettings) -> tuple[TrainedLike, TrainedLike]:
    """Their network and ours with the same random weights."""
    narrow = {"block_out_channels": settings.channels, "layers_per_block": settings.blocks}
    torch.manual_seed(0)
    theirs = UNet2DModel(**CIFAR10 | narrow)
    for p in theirs.eval().requires_grad_(False).parameters():
        if p.ndim == 1:
            p += 0.2 * torch.randn_like(p)
    ours = copy_weights(theirs, UNet(settings))
    return TrainedLike(theirs), TrainedLike(ours.eval().requires_grad_(False))


@pytest.fixture(scope="module")
def nets() -> tuple[TrainedLike, TrainedLike]:
    return pair(UNetSettings(width=64, multipliers=(1, 1, 1, 1), blocks=1))


def start(size: int) -> torch.Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


def their_walk(net, scheduler, x, **options) -> list[torch.Tensor]:
    """x after each step of theirs."""
    scheduler.set_timesteps(STEPS)
    noise, walk = torch.Generator().manual_seed(1), []
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, t.reshape(1)), t, x, generator=noise, **options).prev_sample
        walk.append(x)
    return walk


def our_walk(net, solver, grid, x, clip: bool) -> list[torch.Tensor]:
    """x after each step of ours."""
    noise = torch.Generator().manual_seed(1)
    denoise = NetworkDenoiser(net, Parameterisation(prediction.eps))
    wrapped = Clipped(denoise) if clip else denoise
    return [step.x for step in steps(wrapped, solver, grid, x, lambda: torch.randn(x.shape, generator=noise))]


def grids(spacing: str):
    """The levels of their timesteps: by our own grid, or those at which they start short of the noisiest."""
    if spacing == "trailing":
        return trailing(SCHEDULE, STEPS)
    return [*(SCHEDULE.level(t + 1) for t in LEADING), SCHEDULE.level(0)]


def same(theirs: list[torch.Tensor], ours: list[torch.Tensor]) -> float:
    """The largest difference of any pixel after any step, which must be below 1e-4; pixels are of size 1."""
    a, b = torch.stack(theirs), torch.stack(ours)
    assert 0.3 < a[-1].std() < 3
    torch.testing.assert_close(b, a, rtol=0, atol=1e-4)
    return float((a - b).abs().max())


DDIM_CASES = [("leading", 0.0, False), ("leading", 0.0, True), ("trailing", 0.7, True)]


def ddim(nets, size: int, spacing: str, eta: float, clip: bool) -> float:
    scheduler = DDIMScheduler(clip_sample=clip, timestep_spacing=spacing)
    theirs = their_walk(nets[0], scheduler, start(size), eta=eta, use_clipped_model_output=clip)
    assert theirs[-1].abs().max() == 1 if clip else theirs[-1].abs().max() > 1.5
    return same(theirs, our_walk(nets[1], DDIM(eta), grids(spacing), start(size), clip))


@cases(("spacing", "eta", "clip"), DDIM_CASES)
def test_ddim(nets, spacing, eta, clip):
    ddim(nets, 8, spacing, eta, clip)


ANCESTRAL_CASES = [("leading", "fixed_small"), ("trailing", "fixed_large")]


def ancestral(nets, size: int, spacing: str, variance: str) -> float:
    scheduler = DDPMScheduler(variance_type=variance, clip_sample=True, timestep_spacing=spacing)
    theirs = their_walk(nets[0], scheduler, start(size))
    solver = Ancestral({"fixed_small": fixed_small, "fixed_large": fixed_large}[variance])
    ours = our_walk(nets[1], solver, grids(spacing), start(size), clip=True)
    # Their step to the clean level adds noise again unless it starts at t = 0, which trailing timesteps do not.
    end = -1 if spacing == "trailing" else None
    return same(theirs[:end], ours[:end])


@cases(("spacing", "variance"), ANCESTRAL_CASES)
def test_ancestral(nets, spacing, variance):
    ancestral(nets, 8, spacing, variance)
