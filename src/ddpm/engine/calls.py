"""Count the network calls of sampling settings, without a network."""

import torch

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoised, Level
from ddpm.guidance.interval import lies_within
from ddpm.sampling import sample


def network_calls(run: RunConfig, how: SamplingConfig, *, labelled: bool) -> int | None:
    """The network evaluations for one image: a guided step needs several, although they share a batch.

    It makes two, or three if the label has a scale of its own. The solver itself is run, on a single number, so the
    count depends on the solver, the grid and the interval of guidance. A classifier's gradients are not counted.

    Args:
        run: a run that samples with these settings.
        labelled: whether the images have labels; without them only a checkpoint can guide.

    Returns:
        None for the adaptive solver, which makes as many calls as each image needs.

    Raises:
        InputError: the grid does not fit the run's schedule.
    """
    if how.solver.name == "adaptive":
        return None
    schedule, guidance, calls = build.build_schedule(run.diffusion), how.guidance, 0
    if guidance is not None and guidance.guide is None and not labelled:
        guidance = None
    answers = 1 if guidance is None else 2 if guidance.label_scale is None else 3

    def denoise(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        nonlocal calls
        interval = None if guidance is None else guidance.interval
        guided = interval is None or bool(lies_within(level, *interval).all())
        calls += answers if guided else 1
        return Denoised(torch.zeros_like(x), torch.zeros_like(x))

    solver = build.build_solver(how, schedule, variance=run.diffusion.variance)
    sample(denoise, solver, build.build_grid(how, schedule), lambda: torch.zeros(1, 1))
    return calls
