"""What is told on the way is what the solver asked and was answered, and nothing changes by telling it."""

import torch
from tests.laws.exact import meeting

from cases import cases
from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Denoised
from ddpm.core.discrete import cosine
from ddpm.sampling import SampleNoise, rows_of, start, steps
from ddpm.sampling.follow import follow

SCHEDULE = cosine(1000)
LATER = {"edm"}
"""Solvers that add noise before they ask."""


class Gaussian:
    """The perfect denoiser of N(0.3, 0.5²), which counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x, level, cond=None):
        self.calls += 1
        return self.expected(x, level)

    @staticmethod
    def expected(x, level):
        level = meeting(level, x)
        gain = level.alpha * 0.25 / (level.alpha**2 * 0.25 + level.sigma**2)
        return Denoised(0.3 + gain * (x - level.alpha * 0.3), torch.full_like(x, 0.5))


@cases("name", build.SOLVERS)
def test_every_solver_goes_its_way_and_asks_no_more(name):
    how = SamplingConfig.of(solver=name, steps=5, grid="uniform")
    grid = build.build_grid(how, SCHEDULE)

    def walk(loop):
        randn = SampleNoise(rows_of(3, range(2)), (1, 3))
        denoise = Gaussian()
        return list(loop(denoise, build.build_solver(how, SCHEDULE), grid, start(grid[0], randn), randn)), denoise.calls

    moments, calls = walk(follow)
    taken, wanted_calls = walk(steps)
    assert calls == wanted_calls
    assert [(m.number, m.of, m.level) for m in moments] == [(k, 5, level) for k, level in enumerate(grid)]
    assert all(torch.equal(moment.x, step.x) for moment, step in zip(moments[1:], taken, strict=True))
    assert moments[-1].x0 is moments[-1].x
    for moment in moments[:-1]:
        told = torch.allclose(moment.x0, Gaussian.expected(moment.x, moment.level).x0, rtol=0, atol=1e-5)
        assert told or (name in LATER and moment.number > 0)
