"""Every solver and grid that a name leads to: a new one comes under the laws with its line in ``build``."""

from ddpm import build
from ddpm.sampling import DDIM, Grid, Solver

SOLVERS: dict[str, Solver] = {name: make() for name, make in build.SOLVERS.items()} | {
    "ddim of eta 0.5": DDIM(0.5),
    "ddim of eta 1": DDIM(1.0),
}
GRIDS: dict[str, Grid] = build.GRIDS
