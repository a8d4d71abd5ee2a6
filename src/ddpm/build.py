"""From names to objects: the one file that knows both."""

from collections.abc import Callable

import torch

from ddpm.codec import PixelCodec
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config import DiffusionConfig, RunConfig, SamplingConfig, suggest
from ddpm.core import Denoiser, Discrete, Level, Prediction, Schedule, discrete, prediction
from ddpm.core.model import Model
from ddpm.errors import InputError
from ddpm.evaluation.features.embedded import Embedded
from ddpm.evaluation.features.extractor import Extractor
from ddpm.evaluation.features.inception import Inception
from ddpm.evaluation.features.vision import clip, dinov2
from ddpm.guidance import ClassifierFree, Clipped
from ddpm.networks import UNet
from ddpm.objectives import SimpleLoss
from ddpm.recipes import Recipe
from ddpm.recipes.auto import auto
from ddpm.recipes.ho2020 import ho2020
from ddpm.sampling import DDIM, Ancestral, Grid, Solver, fixed_large, fixed_small, grid
from ddpm.training.learner import Problem

SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "linear": discrete.linear,
    "scaled-linear": discrete.scaled_linear,
    "cosine": discrete.cosine,
    "sigmoid": discrete.sigmoid,
}
PREDICTIONS: dict[str, Prediction] = {
    "eps": prediction.eps,
    "x0": prediction.x0,
    "v": prediction.v,
    "flow": prediction.flow,
}
SOLVERS: dict[str, Callable[..., Solver]] = {
    "ddim": DDIM,
    "ancestral": lambda: Ancestral(fixed_small),
    "ancestral-large": lambda: Ancestral(fixed_large),
}
GRIDS: dict[str, Grid] = {
    "uniform": grid.uniform,
    "linspace": grid.uniform,  # the name it has in diffusers
    "leading": grid.leading,
    "trailing": grid.trailing,
    "quadratic": grid.quadratic,
}
FEATURES: dict[str, Callable[[str | None, torch.device], Extractor]] = {
    "inception": Inception.load,
    "dinov2": dinov2,
    "clip": clip,
}
"""Published networks, by their weights and device; "embedded" needs neither file nor name."""
RECIPES: dict[str, Recipe] = {"auto": auto, "ho2020": ho2020}


def build_schedule(config: DiffusionConfig) -> Schedule:
    """The forward process.

    Raises:
        InputError: zero-terminal SNR of a continuous one.
    """
    made = SCHEDULES[config.schedule](config.T)
    if not config.zero_terminal_snr:
        return made
    if not isinstance(made, Discrete):
        raise InputError(f"the {config.schedule} schedule is continuous, and its end is fixed; drop zero_terminal_snr")
    return discrete.zero_terminal_snr(made)


def build_problem(config: RunConfig) -> Problem:
    """What the run learns."""
    loss = SimpleLoss(PREDICTIONS[config.diffusion.prediction])
    return Problem(build_schedule(config.diffusion), loss, PixelCodec())


def build_model(config: RunConfig) -> Model:
    """The run's network and its conditioner, with fresh weights from torch's global generator."""
    classes, width = len(config.data.classes), config.network.cond_width
    conditioner = LabelEmbedding(classes, width) if classes and width is not None else None
    return Model(UNet(config.network), conditioner)


def build_features(name: str, weights: str | None, size: tuple[int, int], device: torch.device) -> Extractor:
    """A network that looks at images of (H, W).

    Raises:
        InputError: an unknown name, or weights that cannot be had.
    """
    if name == "embedded":
        if weights is not None:
            raise InputError(f"the embedded features have their own weights; give {weights} to another --features")
        return Embedded(size, device)
    if name not in FEATURES:
        raise InputError(f"unknown features {name!r}{suggest(name, ['embedded', *FEATURES])}")
    return FEATURES[name](weights, device)


def build_solver(config: SamplingConfig) -> Solver:
    """The solver with its options."""
    return SOLVERS[config.solver]() if config.eta is None else SOLVERS[config.solver](eta=config.eta)


def build_grid(config: SamplingConfig, schedule: Schedule) -> list[Level]:
    """The levels to visit.

    Raises:
        InputError: more steps than the schedule has levels.
    """
    try:
        return GRIDS[config.grid](schedule, config.steps)
    except ValueError as e:
        raise InputError(str(e)) from e


def build_denoiser(config: SamplingConfig, model: Model, predict: Prediction, *, guided: bool) -> Denoiser:
    """The network's denoiser, guided where there is something to guide towards, then clipped, as the settings say."""
    denoise: Denoiser = model.denoiser(predict)
    if guided and config.guidance != 1 and isinstance(model.conditioner, LabelEmbedding):
        denoise = ClassifierFree(denoise, model.conditioner.null(1), config.guidance)
    return Clipped(denoise) if config.clip else denoise
