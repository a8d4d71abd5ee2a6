"""diffusers' schedulers, and the process and sampling settings of a run."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ddpm import build
from ddpm.config.diffusion import CONTINUOUS, UNBOUNDED, DiffusionConfig
from ddpm.config.sampling import DynamicClip, SamplingConfig
from ddpm.core import Discrete
from ddpm.core.discrete import MAX_BETA
from ddpm.exchange.diffusers.scheduler_settings import ForeignScheduler
from ddpm.system.errors import InputError

PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
SPACINGS = {"trailing": "trailing", "uniform": "linspace", "linspace": "linspace", "leading": "leading"}
"""Their names for our grids."""
NAMED = {"linear": ("linear", 1e-4, 0.02), "scaled-linear": ("scaled_linear", 0.00085, 0.012)}
"""Our schedules, their names there, and the first and the last beta of 1000."""
DETAILS = (
    *("set_alpha_to_one", "lower_order_final", "euler_at_final", "final_sigmas_type", "lambda_min_clipped"),
    *("disable_corrector", "interpolation_type", "timestep_type"),
)
"""Settings of theirs that ours do not have."""
STEPS = 50
"""The default steps of diffusers' pipelines."""
DPM_STEPS = 20
"""The usual steps of DPM-Solver++ and UniPC (Lu et al. 2022b, Zhao et al. 2023)."""
UNLIMITED = 1e4
"""The largest value of dynamic thresholding, which has no limit here."""


def _order(name: str) -> Callable[[ForeignScheduler], tuple[str, int] | None]:
    return lambda s: (name.format(s.solver_order), DPM_STEPS)


def _multistep(s: ForeignScheduler) -> tuple[str, int] | None:
    kinds = {"dpmsolver++": "dpm++-{}m", "sde-dpmsolver++": "sde-dpm++-{}m"}
    kind = kinds.get(s.algorithm_type or "dpmsolver++")
    if kind is None or s.solver_type == "heun" or (s.solver_order == 1 and kind.startswith("sde")):
        return None
    return ("ddim" if s.solver_order == 1 else kind.format(s.solver_order)), DPM_STEPS


SOLVERS: dict[str, Callable[[ForeignScheduler], tuple[str, int] | None]] = {
    "DDPM": lambda s: None,
    "DDIM": lambda s: ("ddim", STEPS),
    "PNDM": lambda s: None,
    "LMS": lambda s: None,
    "IPNDM": lambda s: ("ipndm-4", STEPS),
    "Euler": lambda s: ("euler", STEPS),
    "EulerAncestral": lambda s: ("euler-ancestral", STEPS),
    "Heun": lambda s: ("heun", STEPS // 2),
    "KDPM2": lambda s: ("dpm-solver-2", STEPS // 2),
    "KDPM2Ancestral": lambda s: None,
    "DPMSolverMultistep": _multistep,
    "DPMSolverSinglestep": lambda s: ("dpm++-2s", DPM_STEPS // 2) if s.solver_order == 2 else None,
    "UniPCMultistep": lambda s: (f"unipc-{s.solver_order}" + "-bh1" * (s.solver_type == "bh1"), DPM_STEPS),
    "DEISMultistep": _order("deis-{}"),
}
"""By class of scheduler: our solver and its steps; None for those that we do not have."""


@dataclass(frozen=True)
class Process:
    """A scheduler in our terms.

    Attributes:
        trees: "diffusion" and "sampling", sections of a run's settings.
        read: what was read, one line each.
        inferred: what differs in sampling, one line each.
    """

    trees: dict[str, dict[str, Any]]
    read: tuple[str, ...]
    inferred: tuple[str, ...]


def read_scheduler(config: Mapping[str, Any], source: str, *, learned: bool = False) -> Process:
    """The process and the sampling settings of a scheduler_config.json.

    Args:
        source: the name of the file in errors.
        learned: whether the network has learned the variances, with twice the channels of x in its output.

    Raises:
        InputError: the scheduler, or one of its settings, is not supported.
    """
    s = ForeignScheduler.parse(config, source)
    if s.kind not in SOLVERS:
        raise InputError(
            "incompatible",
            f"{source} is a {s.class_name}, which is not supported; use a pipeline with one of "
            f"{', '.join(f'{kind}Scheduler' for kind in ('DDPM', 'DDIM', 'PNDM', 'DPMSolverMultistep'))}",
        )
    if s.variance_type == "learned_range" and not learned:
        raise InputError(
            "incompatible",
            f"{source}: variance_type is learned_range, but the network predicts no variance; use the scheduler that "
            "it was trained with",
        )
    diffusion: dict[str, Any] = {
        **_schedule(s),
        "T": s.num_train_timesteps,
        "zero_terminal_snr": s.rescale_betas_zero_snr,
        "prediction": PREDICTIONS[s.prediction_type],
        "variance": "learned" if learned else "large" if (s.variance_type or "").startswith("fixed_large") else "small",
    }
    sampling, inferred = _sampling(s, source)
    read = f"{s.class_name}, {s.num_train_timesteps} levels, {diffusion['schedule']} schedule, {s.prediction_type}"
    return Process({"diffusion": diffusion, "sampling": sampling}, (read,), tuple(inferred))


def _schedule(s: ForeignScheduler) -> dict[str, Any]:
    """The schedule by name if it is one of ours, else its betas."""
    T, (start, end) = s.num_train_timesteps, s.betas
    if s.trained_betas is not None:
        return {"schedule": "custom", "betas": s.trained_betas}
    if s.beta_schedule == "squaredcos_cap_v2":
        return {"schedule": "cosine"}
    for name, (theirs, *own) in NAMED.items():
        known = [math.isclose(beta * T, 1000 * other) for beta, other in zip((start, end), own, strict=True)]
        if s.beta_schedule == theirs and all(known) and end < MAX_BETA:
            return {"schedule": name}
    if s.beta_schedule == "linear":
        betas = torch.linspace(start, end, T, dtype=torch.float64)
    elif s.beta_schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(-6, 6, T, dtype=torch.float64).sigmoid() * (end - start) + start
    return {"schedule": "custom", "betas": tuple(betas.tolist())}


def _sampling(s: ForeignScheduler, source: str) -> tuple[dict[str, Any], list[str]]:
    clip: dict[str, Any] = {"kind": "range" if s.clips else "none"}
    inferred = []
    if s.thresholding and s.sample_max_value > 1:
        clip = {"kind": "dynamic", "quantile": s.dynamic_thresholding_ratio}
        inferred.append(f"dynamic thresholding without the limit of {s.sample_max_value:g}")
    elif s.thresholding:
        clip = {"kind": "range"}  # their limit of 1 leaves nothing to rescale
    elif s.clips and s.clip_sample_range != 1:
        raise InputError(
            "incompatible",
            f"{source}: clip_sample_range is {s.clip_sample_range:g}, but only 1 is supported; use another scheduler",
        )
    found = SOLVERS[s.kind](s)
    if found is None:
        default = SamplingConfig()
        inferred.append(f"sampling by {default.words}, instead of {s.class_name}")
        return {"clip": clip, "steps": min(default.steps, s.num_train_timesteps)}, inferred
    name, steps = found
    spread = {"karras": s.use_karras_sigmas, "log-snr": s.use_exponential_sigmas or s.use_lu_lambdas}
    spread["beta"] = s.use_beta_sigmas
    grid = next((grid for grid, used in spread.items() if used), s.spacing)
    if grid == "leading":
        inferred.append("sampling from the noisiest level, short of which the leading timesteps of diffusers start")
    if details := [key for key in DETAILS if getattr(s, key) != ForeignScheduler.model_fields[key].default]:
        inferred.append(f"sampling without {', '.join(details)} of diffusers, which change single steps at the ends")
    steps = min(steps, s.num_train_timesteps)
    return {"solver": {"name": name}, "steps": steps, "grid": grid, "clip": clip}, inferred


def write_scheduler(diffusion: DiffusionConfig, sampling: SamplingConfig, kind: str) -> dict[str, Any]:
    """The contents of scheduler_config.json for the process of a run.

    Timesteps are spaced as the grid of the run if theirs has it, else in equal steps that end clean ("trailing").

    Args:
        kind: "DDIM" or "DPMSolverMultistep".

    Raises:
        InputError: theirs cannot express the process.
    """
    name = f"{kind}Scheduler"
    for setting, value, known in (
        ("schedule", diffusion.schedule, diffusion.schedule not in (*CONTINUOUS, *UNBOUNDED)),
        ("prediction", diffusion.prediction, diffusion.prediction in PREDICTIONS.values()),
        ("time_scale", diffusion.time_scale, diffusion.time_scale == 1),
        ("variance", diffusion.variance, diffusion.variance != "learned"),
    ):
        if not known:
            raise InputError(
                "incompatible",
                f"diffusers' {name} cannot express diffusion.{setting} {value}; train a run on a schedule of betas, "
                "with prediction eps, x0 or v and without time_scale and learned variance",
            )
    theirs = {ours: word for word, ours in PREDICTIONS.items()}
    tree: dict[str, Any] = {
        "_class_name": name,
        "num_train_timesteps": diffusion.T,
        **_betas(diffusion),
        "prediction_type": theirs[diffusion.prediction],
        "rescale_betas_zero_snr": diffusion.zero_terminal_snr,
        "timestep_spacing": SPACINGS.get(str(sampling.grid), "trailing"),
        "steps_offset": 0,
    }
    dynamic = sampling.clip if isinstance(sampling.clip, DynamicClip) else None
    ranged = sampling.clip.kind == "range"
    if kind == "DDIM":
        tree |= {"clip_sample": ranged, "clip_sample_range": 1.0, "set_alpha_to_one": True}
    else:
        solver = sampling.solver.name
        tree |= {
            "algorithm_type": "sde-dpmsolver++" if solver.startswith("sde-") else "dpmsolver++",
            "solver_order": 3 if solver.endswith("3m") else 2,
            "use_karras_sigmas": sampling.grid == "karras",
        }
    # with a limit of 1, dynamic thresholding clips to the range of pixels
    limited = ranged and kind != "DDIM"
    tree |= {"thresholding": dynamic is not None or limited, "sample_max_value": 1.0 if limited else UNLIMITED}
    return tree | ({} if dynamic is None else {"dynamic_thresholding_ratio": dynamic.quantile})


def _betas(diffusion: DiffusionConfig) -> dict[str, Any]:
    """Their schedule, by name if it has one."""
    T = diffusion.T
    if diffusion.schedule == "cosine":
        return {"beta_schedule": "squaredcos_cap_v2"}
    if diffusion.schedule in NAMED:
        theirs, start, end = NAMED[diffusion.schedule]
        if end * 1000 / T < MAX_BETA:
            return {"beta_schedule": theirs, "beta_start": start * 1000 / T, "beta_end": end * 1000 / T}
    plain = build.build_schedule(diffusion.model_copy(update={"zero_terminal_snr": False}))
    assert isinstance(plain, Discrete)
    betas = 1 - plain.alpha_bar[1:] / plain.alpha_bar[:-1]
    return {"beta_schedule": "linear", "trained_betas": list(diffusion.betas or betas.tolist())}
