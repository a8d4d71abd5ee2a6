"""Resolve the settings of a likelihood, with all defaults filled in."""

from typing import Any

from ddpm import build
from ddpm.config.likelihood import Likelihood
from ddpm.config.run import RunConfig
from ddpm.core.continuous import FLOOR, Continuous
from ddpm.system.errors import InputError

START = 1e-5
TOLERANCE, LEAST = 1e-5, 1e-8
PROBES = 1
"""Defaults of the ODE: those of Song et al. 2021 ("Score-Based Generative Modeling through Stochastic Differential
Equations"), app. D.2 and their code."""

OF_BOUND = ("steps", "terms", "variance")
OF_ODE = ("start", "tolerance", "probes")


def settle(
    config: RunConfig, method: str = "bound", *, seed: int = 0, clip: bool | None = None, **asked: Any
) -> Likelihood:
    """Fill in the defaults: all levels, the run's own variance, and clipping for the bound.

    Args:
        asked: options of the bound (``OF_BOUND``) or of the ODE (``OF_ODE``), None where not given; see
            :class:`Likelihood`.

    Raises:
        InputError: a value that is invalid or has no effect.
    """
    if method not in ("bound", "ode"):
        raise InputError("unknown", f"unknown method {method!r}; use bound or ode")
    idle, other = (OF_ODE, "ode") if method == "bound" else (OF_BOUND, "bound")
    for name in idle:
        if (value := asked.pop(name, None)) is not None:
            raise InputError(
                "conflict", f"{name} {value} requires method {other}, not {method}; leave it out or use method {other}"
            )
    if method == "bound":
        return Likelihood(method="bound", seed=seed, clip=clip is not False, **_bound(config, **asked))
    return Likelihood(method="ode", seed=seed, clip=bool(clip), **_ode(config, **asked))


def _bound(
    config: RunConfig, steps: int | None = None, terms: int | None = None, variance: str | None = None
) -> dict[str, Any]:
    T = config.diffusion.T
    steps = T if steps is None else steps
    if not 1 <= steps <= T:
        raise InputError("invalid", f"steps {steps} is out of range; use 1 to {T}, the number of levels of the run")
    if terms is not None and not 1 <= terms < steps:
        fix = f"use 1 to {steps - 1}" if steps > 1 else "leave it out"
        raise InputError("invalid", f"terms {terms} is out of range, as {steps} steps have {steps - 1} KL terms; {fix}")
    own = config.diffusion.variance
    known = ("small", "large", "learned") if own == "learned" else ("small", "large")
    if variance not in (None, *known):
        why = " is unknown" if own == "learned" or variance != "learned" else ", but this run has not learned one"
        raise InputError("unknown", f"variance {variance!r}{why}; use {' or '.join(known)}")
    return {"steps": steps, "terms": terms, "variance": variance or own}


def _ode(
    config: RunConfig, start: float | None = None, tolerance: float | None = None, probes: int | None = None
) -> dict[str, Any]:
    continuous = isinstance(build.build_schedule(config.diffusion), Continuous)
    if start is not None and not continuous:
        raise InputError(
            "conflict",
            f"start {start} requires a process in continuous time, but the {config.diffusion.schedule} schedule is "
            "discrete and starts at level 1; leave it out",
        )
    if start is not None and not FLOOR <= start < 1:
        raise InputError(
            "invalid",
            f"start {start} is out of range; use at least {FLOOR:g} and less than 1, where only noise is left",
        )
    if tolerance is not None and not LEAST <= tolerance <= 1:
        raise InputError("invalid", f"tolerance {tolerance} is out of range; use {LEAST:g} to 1")
    if probes is not None and probes < 1:
        raise InputError("invalid", f"probes is {probes}; use at least 1")
    return {
        "probes": PROBES if probes is None else probes,
        "tolerance": TOLERANCE if tolerance is None else tolerance,
        "start": (START if start is None else start) if continuous else None,
    }
