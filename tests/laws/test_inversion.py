"""From an image to its noise: where the probability flow leads upwards is known for Gaussian data."""

import math
from itertools import pairwise

import pytest
import torch

from cases import cases
from ddpm.core import Continuous, Level
from ddpm.core.continuous import VP
from ddpm.sampling import DDIM, Ancestral, steps
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.grid import LogSNR, quadratic
from ddpm.sampling.heun import Heun
from ddpm.sampling.inversion import inversion, invert

from .every import between
from .exact import Gaussian
from .test_order import GAUSSIAN, at, log_snr_grid

SECOND = {"heun": Heun(), "dpm-solver-2": DPMSolver2(between), "dpm++-2s": DPMSolverPP2S(between)}
CLEAN = Level(0.0, 1.0, 0.0)
FINE = Continuous(VP(), 1_000_000)
"""Its level 1 is as clean as a grid likes."""


def images(n: int = 64, seed: int = 0) -> torch.Tensor:
    """Draws of the data itself, (n, 2, 1)."""
    eps = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (GAUSSIAN.mean + eps @ torch.linalg.cholesky(GAUSSIAN.cov).mT)[..., None]


def rms(difference: torch.Tensor) -> float:
    return float(difference.square().mean().sqrt())


def back(solver, grid, x: torch.Tensor) -> torch.Tensor:
    *_, last = steps(GAUSSIAN, solver, grid, x, lambda: 1 / 0)
    return last.x


def slopes(errors: list[float]) -> list[float]:
    """Empirical orders, each of twice the steps."""
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


@pytest.mark.parametrize(
    ("solver", "order"),
    [(DDIM(), 1), (DPMSolver3(between), 3), *((s, 2) for s in SECOND.values())],
    ids=["ddim", "dpm-solver-3", *SECOND],
)
def test_steps_keep_their_order_upwards(solver, order):
    """Between two noisy levels."""
    x = GAUSSIAN.flow(images(), CLEAN, at(6))
    exact = GAUSSIAN.flow(x, at(6), at(-6))
    errors = [rms(invert(GAUSSIAN, solver, log_snr_grid(n), x) - exact) for n in (100, 200, 400)]
    assert slopes(errors) == pytest.approx([order, order], abs=0.25)


@cases("solver", SECOND.values())
def test_second_order_from_the_image_itself(solver):
    """On a grid whose first step grows finer with the others."""
    for corrections in [0, 1]:
        exact = GAUSSIAN.flow(images(), CLEAN, FINE.level(FINE.T))
        errors = [
            rms(invert(GAUSSIAN, solver, quadratic(FINE, n), images(), None, corrections) - exact) for n in (50, 100)
        ]
        errors += [rms(invert(GAUSSIAN, solver, quadratic(FINE, 200), images(), None, corrections) - exact)]
        assert slopes(errors) == pytest.approx([2, 2], abs=0.25)
        assert errors[-1] < 1e-3


@cases("solver", SECOND.values())
def test_there_and_back(solver):
    """The errors of both ways are opposite where they are largest: order 3."""
    errors = []
    for n in (50, 100, 200):
        grid = quadratic(FINE, n)
        errors.append(rms(back(solver, grid, invert(GAUSSIAN, solver, grid, images())) - images()))
    assert slopes(errors) == pytest.approx([3, 3], abs=0.25)


@cases("solver", [DDIM(), *SECOND.values()])
def test_corrections_lead_to_the_steps_own_inverse(solver):
    grid = LogSNR()(Continuous(VP()), 20)
    errors = [rms(back(solver, grid, invert(GAUSSIAN, solver, grid, images(), None, k)) - images()) for k in (0, 3, 30)]
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 1e-6


def test_the_noise_of_gaussian_data_is_standard():
    """Of 20,000 images: the mean within 0.03, variances and covariance within 0.05, four and five standard errors."""
    x = invert(GAUSSIAN, Heun(), quadratic(FINE, 50), images(20_000, seed=1))[..., 0]
    torch.testing.assert_close(x.mean(0), torch.zeros(2, dtype=torch.float64), rtol=0, atol=0.03)
    torch.testing.assert_close(x.T.cov(), torch.eye(2, dtype=torch.float64), rtol=0, atol=0.05)


@cases("alpha", [0.8, 1.0])
def test_the_step_from_the_image_by_hand(alpha):
    """``alpha x + sigma eps``, eps of the image at the first noisy level."""
    first = Level(1.0, alpha, 0.6)
    found = invert(GAUSSIAN, Heun(), [first, CLEAN], images())
    still = alpha * images()
    eps = (still - alpha * GAUSSIAN(still, first).x0) / 0.6
    torch.testing.assert_close(found, still + 0.6 * eps, rtol=0, atol=1e-12)


@cases("solver", [DDIM(), Heun()])
def test_up_to_a_level_without_signal(solver):
    grid = [Level(0.0, 0.0, 1.0), *log_snr_grid(200)]
    x = GAUSSIAN.flow(images(), CLEAN, at(6))
    found = invert(GAUSSIAN, solver, grid, x)
    exact = (images()[..., 0] - GAUSSIAN.mean) @ torch.linalg.inv(root(GAUSSIAN)).mT
    torch.testing.assert_close(found[..., 0], exact, rtol=0, atol=0.05)


def root(data: Gaussian) -> torch.Tensor:
    """The symmetric square root of the covariance, by which the whole flow scales noise."""
    spread, axes = torch.linalg.eigh(data.cov)
    return axes * spread.sqrt() @ axes.mT


def test_every_step_is_yielded_from_the_cleanest_on():
    grid = LogSNR()(Continuous(VP()), 5)
    found = list(inversion(GAUSSIAN, Heun(), grid, images()))
    assert [step.number for step in found] == [1, 2, 3, 4, 5]
    assert [step.level for step in found] == grid[-2::-1]
    assert torch.equal(found[-1].x, invert(GAUSSIAN, Heun(), grid, images()))


@cases(
    ("solver", "corrections", "said"),
    [
        (DDIM(0.5), 0, "draws noise"),
        (Ancestral(), 0, "draws noise"),
        (DPMMultistep(2), 0, r"DPMMultistep\(order=2, eta=0\.0, curvature"),
        (Heun(), -1, "corrections must be at least 0"),
    ],
)
def test_what_has_no_inverse(solver, corrections, said):
    with pytest.raises(ValueError, match=said):
        invert(GAUSSIAN, solver, LogSNR()(Continuous(VP()), 5), images(), None, corrections)
