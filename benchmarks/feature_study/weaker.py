"""Samples of a run that get worse step by step: earlier checkpoints, and fewer steps of the solver."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ddpm.engine import options
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.drawn import SampleRecipe, SampleStore
from ddpm.images.pixels import Pixels
from ddpm.training.checkpoint import paths

BATCH = 64
STEPS = (32, 16, 8, 4, 2)
"""Of the solver, at the final weights."""
SHARES = (1.0, 0.4, 0.2, 0.1, 0.05)
"""Of the training, each by the checkpoint nearest to it."""
STEPS_OF_CHECKPOINTS = 20


def weaker(run: Path, n: int, cache: Path, say: Callable[[str], None]) -> dict[str, dict[str, Pixels]]:
    """Name of the degradation -> strength -> n samples, the best first. What is in the cache already is not drawn.

    All classes in equal shares, without guidance.
    """
    found = {f"step {int(path.name.removeprefix('step-'))}": path for path in paths(run / "checkpoints")}
    last = max(int(name.split()[1]) for name in found)
    nearest = [min(found, key=lambda name: abs(int(name.split()[1]) - share * last)) for share in SHARES]
    if len(set(nearest)) < len(SHARES):
        raise SystemExit(f"{run} has too few checkpoints: train it with --set training.keep=100")
    final = found[nearest[0]]
    return {
        "fewer steps": {str(steps): draw(final, steps, n, cache, say) for steps in STEPS},
        "less training": {name: draw(found[name], STEPS_OF_CHECKPOINTS, n, cache, say) for name in nearest},
    }


def draw(path: Path, steps: int, n: int, cache: Path, say: Callable[[str], None]) -> Pixels:
    """n samples of a checkpoint, (n, H, W, C)."""
    run = load(path, "cpu")
    recipe = weaker_recipe(run, steps)
    drawn = SampleStore(cache / recipe.key, n, (*run.config.data.size, len(run.config.data.mode)))
    missing = drawn.missing()
    for k in drawn.draw(run, recipe, missing, BATCH, lambda *_: None):
        say(f"drawing {path.name} in {steps} steps: {k} of {missing[-1]}")
    return drawn.read(np.arange(n))


def weaker_recipe(run: LoadedRun, steps: int) -> SampleRecipe:
    shares = tuple(1 / len(run.classes) for _ in run.classes)
    return SampleRecipe(run.weights, options.settings(run, {"steps": steps, "guidance": 1.0}), 0, shares)
