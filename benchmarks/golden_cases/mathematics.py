"""Schedules, grids, solvers, guidance and constraints in floating point, as 8-bit pictures round small changes away.

Everything is imported within its case, so that a part that has moved is one error.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import torch

from golden_cases.digests import values
from golden_cases.drawing import GRIDS, SOLVERS
from golden_cases.lab import Lab
from golden_cases.table import Case
from golden_cases.training import PREDICTIONS, SCHEDULES

SHAPE = (3, 8, 8)
OPERATORS: Mapping[str, Callable[[Any], Any]] = {
    "grey": lambda parts: parts.Grey(),
    "pool": lambda parts: parts.AveragePool(2),
    "blur": lambda parts: parts.Blur(1.0),
    "mask": lambda parts: parts.Mask((torch.arange(8) < 3).expand(8, 8)),
    "composed": lambda parts: parts.Composed(parts.Grey(), parts.AveragePool(2)),
}
GUIDES: Mapping[str, Callable[[Any, Any], Any]] = {
    "extrapolate": lambda parts, denoise: parts.Autoguidance(denoise, _worse, 3.0),
    "projected": lambda parts, denoise: parts.Autoguidance(denoise, _worse, 3.0, parts.Projected(0.3, 2.0)),
    "rescaled": lambda parts, denoise: parts.Autoguidance(denoise, _worse, 3.0, parts.Rescaled(0.7)),
    "interval": lambda parts, denoise: parts.GuidanceInterval(
        parts.Autoguidance(denoise, _worse, 3.0), denoise, 0.3, 2.0
    ),
    "clipped": lambda parts, denoise: parts.Clipped(parts.Autoguidance(denoise, _worse, 9.0)),
    "thresholded": lambda parts, denoise: parts.Thresholded(parts.Autoguidance(denoise, _worse, 9.0), 0.9),
}


def cases() -> Iterator[Case]:
    """One for each name."""
    for name in SCHEDULES:
        yield Case(f"math/schedule={name}", partial(_schedule, name=name))
    for name in PREDICTIONS:
        yield Case(f"math/prediction={name}", partial(_prediction, name=name))
    for name in GRIDS:
        yield Case(f"math/grid={name}", partial(_grid, name=name))
    for name in SOLVERS:
        yield Case(f"math/solver={name}", partial(_solver, name=name))
    for name, guide in GUIDES.items():
        yield Case(f"math/guidance={name}", partial(_guided, guide=guide))
    for name, operator in OPERATORS.items():
        for method in ("DDNM", "MMPS", "Replacement"):
            yield Case(f"math/{method}-{name}", partial(_constrained, operator=operator, method=method))


def schedule(name: str) -> Any:
    """By its name on the command line."""
    return _named("SCHEDULES", name)(1000)


def _named(table: str, name: str) -> Any:
    return getattr(import_module("ddpm.build"), table)[name]


def denoise(x: torch.Tensor, level: Any, cond: Any = None) -> Any:
    """A smooth stand-in for a network, which mixes neighbouring pixels."""
    size = (level.alpha**2 + level.sigma**2) ** 0.5
    if isinstance(size, torch.Tensor):
        size = size.to(x).reshape(-1, *[1] * (x.ndim - 1))  # (B,) -> (B, 1, ..., 1)
    seen = x / size
    mixed = torch.tanh(seen + 0.3 * seen.roll(1, -1) - 0.2 * seen.roll(1, -2))
    return import_module("ddpm.core").Denoised(0.9 * mixed)


def _worse(x: torch.Tensor, level: Any, cond: Any = None) -> Any:
    return import_module("ddpm.core").Denoised(0.5 * denoise(x, level).x0 + 0.05)


def _levels(found: Any) -> str:
    return values(torch.tensor([[level.t, level.alpha, level.sigma] for level in found], dtype=torch.float64))


def _schedule(lab: Lab, *, name: str) -> dict[str, str]:
    made = schedule(name)
    every = made.levels(torch.arange(made.T + 1))
    between = [made.level(timestep) for timestep in (0, 1, 1.5, 99.25, made.T - 0.125, made.T)]
    ratios = torch.logspace(-4, 4, 50, dtype=torch.float64)
    return {
        "ticks": values(*(torch.as_tensor(v) for v in (every.t, every.alpha, every.sigma))),
        "between": _levels(between),
        "timestep": values(made.timestep(ratios)),
    }


def _prediction(lab: Lab, *, name: str) -> dict[str, str]:
    core = import_module("ddpm.core")
    asked = core.NetworkDenoiser(
        lambda x, t, cond: torch.sin(x + t[:, None, None, None]), core.Parameterisation(_named("PREDICTIONS", name))
    )
    x = _noise()()
    process = schedule("cosine")
    return {"": values(*(asked(x, process.level(timestep)).x0 for timestep in (1, 200, 700, 990)))}


def _grid(lab: Lab, *, name: str) -> dict[str, str]:
    return {on: _levels(_visited(name, schedule(on), 7)) for on in ("cosine", "edm", "flow")}


def _visited(name: str, process: Any, steps: int) -> Any:
    return _named("GRIDS", name)(process, steps)


def _solver(lab: Lab, *, name: str) -> dict[str, str]:
    return {on: _sampled(denoise, solver(name, schedule(on)), schedule(on)) for on in ("cosine", "edm", "flow")}


def solver(name: str, process: Any) -> Any:
    """By its name on the command line."""
    return _named("SOLVERS", name)(partial(import_module("ddpm.core.schedule").level_of, process))


def _noise() -> Any:
    sampling = import_module("ddpm.sampling")
    return sampling.SampleNoise(sampling.rows_of(3, range(2)), SHAPE)


def _sampled(model: Any, solve: Any, process: Any, constraint: Any = None) -> str:
    sampling = import_module("ddpm.sampling")
    grid = _visited("trailing", process, 7)
    return values(sampling.sample(model, solve, grid, _noise(), constraint=constraint))


def _guided(lab: Lab, *, guide: Callable[[Any, Any], Any]) -> dict[str, str]:
    process = schedule("cosine")
    model = guide(import_module("ddpm.guidance"), denoise)
    return {"": _sampled(model, solver("unipc-2", process), process)}


def _constrained(lab: Lab, *, operator: Callable[[Any], Any], method: str) -> dict[str, str]:
    parts, process = import_module("ddpm.constraints"), schedule("cosine")
    damage = operator(parts)
    y = damage.forward(torch.tanh(_noise()()))
    made = getattr(parts, method)
    if method == "Replacement":
        return {"": _sampled(denoise, solver("ddim", process), process, made(damage, y))}
    return {
        "": _sampled(made(denoise, damage, y), solver("ddim", process), process),
        "noisy": _sampled(made(denoise, damage, y, noise=0.1), solver("ddim", process), process),
    }
