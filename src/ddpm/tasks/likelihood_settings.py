"""From what is asked about a likelihood to settings without a default left."""

import math
from typing import Any

from ddpm import build
from ddpm.config.likelihood import Likelihood
from ddpm.config.run import RunConfig
from ddpm.core.continuous import FLOOR, Continuous
from ddpm.system.errors import InputError
from ddpm.system.names import VarianceName

START = 1e-5
TOLERANCE = 1e-5
PROBES = 1
"""Of the ODE, unless others are asked for: those of Song et al. 2021 ("Score-Based Generative Modeling through
Stochastic Differential Equations"), app. D.2 and their code."""

OF_BOUND = ("steps", "terms", "variance")
OF_ODE = ("start", "tolerance", "probes")


def settle(
    config: RunConfig, method: str = "bound", *, seed: int = 0, clip: bool | None = None, **asked: Any
) -> Likelihood:
    """What is asked of a run, its defaults filled in: all levels, the run's own variance, and a bound that is clipped.

    Args:
        asked: options of the bound (``OF_BOUND``) or of the ODE (``OF_ODE``), None where not given; see
            :class:`Likelihood`.

    Raises:
        InputError: a value that is not allowed, or that has no effect.
    """
    if method not in ("bound", "ode"):
        raise InputError("unknown", f"unknown method {method!r} (known: bound, ode)")
    idle, why = (OF_ODE, "the bound solves none") if method == "bound" else (OF_BOUND, "its solver chooses its steps")
    for name in idle:
        if (value := asked.pop(name, None)) is not None:
            raise InputError(
                "conflict",
                f"{name} {value} is an option of the {'ODE' if method == 'bound' else 'bound'}, and the method is "
                f"{method}: {why}; leave it out",
            )
    made = _bound(config, **asked) if method == "bound" else _ode(config, **asked)
    return made.model_copy(update={"seed": seed, "clip": bool(clip) if method == "ode" else clip is not False})


def _bound(
    config: RunConfig, steps: int | None = None, terms: int | None = None, variance: str | None = None
) -> Likelihood:
    T = config.diffusion.T
    steps = T if steps is None else steps
    if not 1 <= steps <= T:
        raise InputError("invalid", f"steps must be between 1 and {T}, the levels of the run, not {steps}")
    if terms is not None and not 1 <= terms < steps:
        allowed = f"between 1 and {steps - 1}" if steps > 1 else "left out"
        raise InputError("invalid", f"terms must be {allowed}, as {steps} steps have {steps - 1} KL terms, not {terms}")
    own = config.diffusion.variance
    known: tuple[VarianceName, ...] = ("small", "large", "learned") if own == "learned" else ("small", "large")
    taken = own if variance is None else next((name for name in known if name == variance), None)
    if taken is None:
        why = "" if own == "learned" else ", as this run learned none"
        raise InputError("invalid", f"variance must be {' or '.join(known)}{why}, not {variance!r}")
    return Likelihood(method="bound", seed=0, clip=True, steps=steps, terms=terms, variance=taken)


def _ode(
    config: RunConfig, start: float | None = None, tolerance: float | None = None, probes: int | None = None
) -> Likelihood:
    continuous = isinstance(build.build_schedule(config.diffusion), Continuous)
    if start is not None and not continuous:
        raise InputError(
            "conflict",
            f"start {start} is of processes in continuous time, and the {config.diffusion.schedule} schedule begins at "
            "its level 1; leave it out",
        )
    if start is not None and not FLOOR <= start < 1:
        raise InputError(
            "invalid", f"start must be at least {FLOOR:g} and below 1, where there is only noise, not {start}"
        )
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise InputError("invalid", f"tolerance must be above 0 and finite, not {tolerance}")
    if probes is not None and probes < 1:
        raise InputError("invalid", f"probes must be at least 1, not {probes}")
    return Likelihood(
        method="ode",
        seed=0,
        clip=False,
        probes=PROBES if probes is None else probes,
        tolerance=TOLERANCE if tolerance is None else tolerance,
        start=(START if start is None else start) if continuous else None,
    )
