"""Heun's method where it is of order 1; elsewhere it is compared with published code and its order is a law."""

import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling.heun import Heun

CLEAN = Level(0.0, 1.0, 0.0)


@cases(
    ("now", "next"),
    [
        (Level(0.0, 0.0, 1.0), Level(0.0, 0.6, 0.8)),
        (Level(0.0, 1e-4, 1.0), Level(0.0, 0.6, 0.8)),
        (Level(0.0, 0.6, 0.8), CLEAN),
        (Level(0.0, 0.0, 1.0), CLEAN),
    ],
)
def test_one_call_and_ddims_step_at_the_ends(now, next):
    """``alpha_s x0 + sigma_s eps``."""
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(1, 3, 4)
    asked = []

    def denoise(x, level):
        asked.append(level)
        return Denoised(x.tanh())

    found, _ = Heun().step(denoise, x, now, next, None, lambda: 1 / 0)
    eps = (x - now.alpha * x.tanh()) / now.sigma
    torch.testing.assert_close(found, next.alpha * x.tanh() + next.sigma * eps, rtol=0, atol=1e-14)
    assert asked == [now]
