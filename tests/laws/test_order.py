"""Each solver converges at the order that it claims, on denoisers whose probability flow is known."""

import math

import pytest
import torch

from ddpm.core import Level
from ddpm.sampling import start, steps

from .convergence import GAUSSIAN, MIXTURE, SINGLE_STEP, at, flow_of, normal


def log_snr_grid(n: int) -> list[Level]:
    """n equal steps of log-SNR, from almost only noise to almost clean."""
    return [at(-6 + 12 * i / n) for i in range(n + 1)]


def errors(solver, denoise, x: torch.Tensor, exact: torch.Tensor, counts) -> list[float]:
    result = []
    for n in counts:
        *_, last = steps(denoise, solver, log_snr_grid(n), x, normal)
        result.append(float((last.x - exact).square().mean().sqrt()))
    return result


def test_the_two_ways_to_the_exact_answer_agree():
    x = start(at(-6), normal)
    for data in (GAUSSIAN, MIXTURE):
        torch.testing.assert_close(flow_of(data, x, 400), data.flow(x, at(-6), at(6)), rtol=0, atol=1e-8)


@pytest.mark.parametrize("denoise", [GAUSSIAN, MIXTURE], ids=["Gaussian", "mixture"])
@pytest.mark.parametrize(("solver", "order"), SINGLE_STEP.values(), ids=SINGLE_STEP)
def test_order_of_convergence(solver, order, denoise):
    """The slope of log error over log steps, from 100 to 800 steps, is within 0.05 of the order."""
    x = start(at(-6), normal)
    coarse, fine = errors(solver, denoise, x, denoise.flow(x, at(-6), at(6)), (100, 800))
    assert math.log(coarse / fine) / math.log(8) == pytest.approx(order, abs=0.05)
    assert fine < 1e-2
