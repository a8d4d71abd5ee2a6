"""Every solver and grid that a name leads to: a new one comes under the laws with its line in ``build``."""

from ddpm import build
from ddpm.core import Level
from ddpm.sampling import DDIM, Grid, Solver


def between(ratio: float) -> Level:
    """The variance-preserving level of sigma / alpha, for denoisers that are told no time."""
    alpha = (1 + ratio**2) ** -0.5
    return Level(0.0, alpha, ratio * alpha)


SOLVERS: dict[str, Solver] = {"ddim of eta 0.5": DDIM(0.5)}
for _name, _make in build.SOLVERS.items():
    if (_made := _make(between)) not in SOLVERS.values():
        SOLVERS[_name] = _made
GRIDS: dict[str, Grid] = {name: grid for name, grid in build.GRIDS.items() if name not in ("linspace", "exponential")}
"""Both each by one name."""
