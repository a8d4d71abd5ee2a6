"""How bits per dimension are taken."""

from ddpm.config.run import RunConfig
from ddpm.system.errors import InputError
from ddpm.system.names import MethodName, VarianceName
from ddpm.system.record import Strict


class Likelihood(Strict):
    """All that decides the bits of image i, besides the model and the image; nothing is left to a default.

    Attributes:
        method: the variational bound, or the density along the probability flow's ODE.
        seed: of noise, terms, dequantisation and probes.
        clip: whether the expected image is kept in the range of images.
        steps: of the bound's grid, the levels 1 … T or a part of them evenly spread (Nichol & Dhariwal 2021).
        terms: how many of the bound's KL terms are drawn for each image, to stand for all; None takes all.
        variance: of the bound's reverse steps: one of the two fixed ones, or as the network has learned it.
        probes, tolerance: of the ODE: for the divergence, and the error allowed in a step.
    """

    method: MethodName
    seed: int
    clip: bool
    steps: int | None = None
    terms: int | None = None
    variance: VarianceName | None = None
    probes: int | None = None
    tolerance: float | None = None

    @property
    def calls(self) -> int | None:
        """Network calls a batch; None for the ODE, whose solver chooses its steps."""
        return self.steps if self.terms is None else self.terms + 1


def settle(
    config: RunConfig,
    method: str = "bound",
    *,
    steps: int | None = None,
    terms: int | None = None,
    seed: int = 0,
    clip: bool | None = None,
    variance: str | None = None,
) -> Likelihood:
    """What is asked of a run, its defaults filled in: all levels, the run's own variance, and a bound that is clipped.

    Raises:
        InputError: a value that is not allowed, or that has no effect.
    """
    if method == "ode":
        for name, value in {"steps": steps, "terms": terms}.items():
            if value is not None:
                raise InputError(f"{name} {value} is of the bound: the ODE's solver chooses its steps; leave it out")
        if variance is not None:
            raise InputError(f"variance {variance} is of the bound: the ODE has no steps that draw noise; leave it out")
        return Likelihood(method="ode", seed=seed, clip=bool(clip), probes=1, tolerance=1e-5)
    if method != "bound":
        raise InputError(f"unknown method {method!r} (known: bound, ode)")
    T = config.diffusion.T
    steps = T if steps is None else steps
    if not 1 <= steps <= T:
        raise InputError(f"steps must be between 1 and {T}, the levels of the run, not {steps}")
    if terms is not None and not 1 <= terms < steps:
        allowed = f"between 1 and {steps - 1}" if steps > 1 else "left out"
        raise InputError(f"terms must be {allowed}, as {steps} steps have {steps - 1} KL terms, not {terms}")
    own = config.diffusion.variance
    known: tuple[VarianceName, ...] = ("small", "large", "learned") if own == "learned" else ("small", "large")
    taken = own if variance is None else next((name for name in known if name == variance), None)
    if taken is None:
        why = "" if own == "learned" else ", as this run learned none"
        raise InputError(f"variance must be {' or '.join(known)}{why}, not {variance!r}")
    return Likelihood(method="bound", seed=seed, clip=clip is not False, steps=steps, terms=terms, variance=taken)
