"""Build solvers, grids, guidance and clipping by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from ddpm.build.given import given, with_options
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.sampling import DynamicClip, SamplingConfig
from ddpm.core import Cond, Denoiser, Level, NetworkDenoiser, Parameterisation, Schedule
from ddpm.core.model import Model
from ddpm.core.precision import Autocast
from ddpm.core.schedule import level_of
from ddpm.guidance import (
    Autoguidance,
    ByItself,
    ClassifierFree,
    ClassifierFreeStages,
    ClassifierGuided,
    Clipped,
    GuidanceInterval,
    Projected,
    Rescaled,
    Rule,
    Thresholded,
    Within,
    extrapolate,
)
from ddpm.guidance.classifier import Direction
from ddpm.sampling import DDIM, Ancestral, Between, Grid, Solver, fixed_large, fixed_small, grid
from ddpm.sampling.adaptive import Adaptive
from ddpm.sampling.consistency import Consistency
from ddpm.sampling.deis import DEIS
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.dpm_solver import DPMSolver2, DPMSolver3, DPMSolverPP2S
from ddpm.sampling.edm import EDMSolver
from ddpm.sampling.exponential import bh1
from ddpm.sampling.heun import Heun
from ddpm.sampling.ipndm import IPNDM
from ddpm.sampling.langevin import Langevin
from ddpm.sampling.tempered import Tempered
from ddpm.sampling.unipc import UniPC
from ddpm.system.errors import InputError
from ddpm.system.names import VarianceName

SOLVERS: dict[str, Callable[[Between], Solver]] = {
    "ddim": lambda between: DDIM(),
    "ancestral": lambda between: Ancestral(),
    "ancestral-small": lambda between: Ancestral(fixed_small),
    "ancestral-large": lambda between: Ancestral(fixed_large),
    "euler": lambda between: DDIM(),  # in (x / alpha, sigma / alpha)
    "euler-ancestral": lambda between: DDIM(1.0),
    "heun": lambda between: Heun(),
    "edm": EDMSolver,
    "dpm-solver-1": lambda between: DDIM(),
    "dpm-solver-2": DPMSolver2,
    "dpm-solver-3": DPMSolver3,
    "dpm++-1s": lambda between: DDIM(),
    "dpm++-2s": DPMSolverPP2S,
    "langevin": lambda between: Langevin(),
    "consistency": lambda between: Consistency(),
    "adaptive": Adaptive,
    "dpm++-2m": lambda between: DPMMultistep(2),
    "dpm++-3m": lambda between: DPMMultistep(3),
    "dpm++-3m-exact": lambda between: DPMMultistep(3, curvature=1.0),
    "sde-dpm++-2m": lambda between: DPMMultistep(2, eta=1.0),
    "sde-dpm++-3m": lambda between: DPMMultistep(3, eta=1.0),
    "unipc-1": lambda between: UniPC(1),
    "unipc-2": lambda between: UniPC(2),
    "unipc-3": lambda between: UniPC(3),
    "unipc-1-bh1": lambda between: UniPC(1, bh1),
    "unipc-2-bh1": lambda between: UniPC(2, bh1),
    "unipc-3-bh1": lambda between: UniPC(3, bh1),
    "deis-1": lambda between: DEIS(1),
    "deis-2": lambda between: DEIS(2),
    "deis-3": lambda between: DEIS(3),
    "ipndm-1": lambda between: IPNDM(1),
    "ipndm-2": lambda between: IPNDM(2),
    "ipndm-3": lambda between: IPNDM(3),
    "ipndm-4": lambda between: IPNDM(4),
}
GRIDS: dict[str, Grid] = {
    "uniform": grid.uniform,
    "linspace": grid.uniform,  # its name in diffusers
    "leading": grid.leading,
    "trailing": grid.trailing,
    "quadratic": grid.quadratic,
    "power": grid.Power(),
    "log-snr": grid.LogSNR(),
    "exponential": grid.LogSNR(),  # its name in diffusers
    "karras": grid.Karras(),
    "beta": grid.Beta(),
}
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def build_solver(
    config: SamplingConfig,
    schedule: Schedule,
    towards: Direction | None = None,
    variance: VarianceName = "small",
) -> Solver:
    """The solver of a process, with its options.

    Args:
        towards: The classifier's gradient, which shifts the mean of an ancestral step if that is its form.
        variance: The variance of the run, which ``ancestral`` uses.
    """
    options, own = given(config.solver), config.solver.name == "ancestral" and variance == "large"
    temperature = options.pop("temperature", None)
    name = "ancestral-large" if own else config.solver.name
    made: Solver = with_options(SOLVERS[name](partial(level_of, schedule)), **options)
    if config.classifier is not None and config.classifier.form == "mean" and towards is not None:
        interval = config.classifier.interval
        made = replace(made, shift=towards if interval is None else Within(towards, *interval))  # type: ignore[type-var]
    return made if temperature is None else Tempered(made, temperature)


def build_grid(config: SamplingConfig, schedule: Schedule) -> list[Level]:
    """The noise levels to visit.

    Raises:
        InputError: if there are more steps than levels in the schedule, or a timestep is out of range.
    """
    visited = GRIDS[config.grid] if isinstance(config.grid, str) else grid.Listed(config.grid)
    try:
        return visited(schedule, config.steps)
    except ValueError as e:
        raise InputError("invalid", str(e)) from e


def build_guided(
    config: SamplingConfig,
    model: Model,
    ask: Parameterisation,
    away: Cond | None = None,
    weak: Model | None = None,
    towards: Direction | None = None,
    scales: torch.Tensor | None = None,
    *,
    between: bool = False,
) -> Denoiser:
    """The denoiser of a network, with the guidance of the settings.

    Args:
        away: The condition to guide away from, one row.
        weak: The model to guide away from instead; if both are None, there is no classifier-free guidance.
        towards: The classifier's gradient, which shifts the score if that is its form.
        scales: (B,), the guidance scale of each image instead of that of the settings.
        between: Whether each image's condition has one between, to guide to with the settings' scale for labels.
    """
    plain = _denoiser(config, model, ask)
    guidance, classifier, denoise = config.guidance, config.classifier, plain
    if guidance is not None and (weak is not None or away is not None):
        rule = _rule(guidance)
        if weak is not None:
            bad = ByItself(_denoiser(config, weak, ask), weak.cond)
            denoise = Autoguidance(plain, bad, guidance.scale, rule)
        elif away is not None and between and guidance.label_scale is not None:
            stages = guidance.label_scale, guidance.scale
            denoise = ClassifierFreeStages(plain, (away.instead_of, _between), stages, rule)
        elif away is not None:
            denoise = ClassifierFree(plain, away, guidance.scale if scales is None else scales, rule)
        if guidance.interval is not None:
            denoise = GuidanceInterval(denoise, plain, *guidance.interval)
    if towards is not None and classifier is not None and classifier.form == "score":
        without, denoise = denoise, ClassifierGuided(denoise, towards)
        if classifier.interval is not None:
            denoise = GuidanceInterval(denoise, without, *classifier.interval)
    return denoise


def build_clipped(config: SamplingConfig, denoise: Denoiser) -> Denoiser:
    """A denoiser with the clipping of the settings."""
    if isinstance(config.clip, DynamicClip):
        return Thresholded(denoise, config.clip.quantile)
    return Clipped(denoise) if config.clip.kind == "range" else denoise


def _denoiser(config: SamplingConfig, model: Model, ask: Parameterisation) -> Denoiser:
    half = HALVES.get(config.precision or "fp32")
    return model.denoiser(ask) if half is None else NetworkDenoiser(Autocast(model.net, half), ask)


def _between(cond: Cond) -> Cond:
    assert cond.between is not None
    return cond.between


def _rule(config: GuidanceConfig) -> Rule:
    """The rule that combines two predictions."""
    rule: Rule = extrapolate
    if config.parallel is not None or config.norm is not None:
        rule = with_options(Projected(eta=1.0), eta=config.parallel, longest=config.norm)
    return rule if config.rescale is None else Rescaled(config.rescale, rule)
