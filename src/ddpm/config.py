"""The typed tree of one run: all that is needed to build it again."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ddpm.data.decode import Mode
from ddpm.data.transform import Fit
from ddpm.errors import InputError
from ddpm.networks import UNetSettings
from ddpm.training.scoring import ScoringSettings
from ddpm.training.settings import TrainSettings

FORMAT = 1
"""Raised when a config of before can no longer be read."""

ScheduleName = Literal["linear", "scaled-linear", "cosine", "sigmoid", "vp", "sub-vp", "ve", "edm", "flow"]
PredictionName = Literal["eps", "x0", "v", "flow", "edm"]
VarianceName = Literal["small", "large", "learned"]
LossName = Literal["simple", "vlb", "hybrid"]
WeightingName = Literal["simple", "constant", "snr", "truncated-snr", "min-snr", "p2", "edm"]
LevelSamplingName = Literal["uniform", "stratified", "log-normal", "logit-normal", "importance"]
SolverName = Literal["ddim", "ancestral", "ancestral-small", "ancestral-large"]
GridName = Literal["uniform", "linspace", "leading", "trailing", "quadratic"]


UNBOUNDED = ("ve", "edm")
"""Schedules that add noise and leave the signal as it is."""
CONTINUOUS = ("vp", "sub-vp", "flow")
"""The others in continuous time."""


class Strict(BaseModel):
    """Unknown keys are errors, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Strict):
    """Where the images came from and what was made of them.

    Attributes:
        source: as it was given: a path, or "digits".
        fingerprint: hash of the prepared images and labels.
        images: how many are trained on.
        held_out: how many are not.
        size: (H, W).
        classes: names, in the order of the labels; empty for a model without labels.
        mean, std: of each channel, in units of [-1, 1].
    """

    source: str
    fingerprint: str
    images: int
    held_out: int
    size: tuple[int, int]
    mode: Mode
    fit: Fit = "crop"
    skip_bad: bool = False
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class DiffusionConfig(Strict):
    """The forward process, and what the network says of it.

    Attributes:
        schedule: noise schedule.
        T: number of noise levels; of a process in continuous time, those that grids and the bound count in.
        zero_terminal_snr: whether the last level is made pure noise.
        prediction: what the network estimates.
        variance: of a reverse step: one of its two bounds, or between them as the network says.
        sigma_data: standard deviation of the data as EDM's formulas take it; 0.5 if None.
    """

    schedule: ScheduleName = "cosine"
    T: int = 1000
    zero_terminal_snr: bool = False
    prediction: PredictionName = "v"
    variance: VarianceName = "small"
    sigma_data: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.T < 1:
            raise ValueError(f"T must be at least 1, not {self.T}")
        if self.zero_terminal_snr and self.schedule in UNBOUNDED + CONTINUOUS:
            raise ValueError(f"zero_terminal_snr reshapes a schedule of betas; {self.schedule} has none")
        if self.prediction == "eps" and (self.zero_terminal_snr or self.schedule == "flow"):
            what = "zero_terminal_snr" if self.zero_terminal_snr else "the flow schedule"
            raise ValueError(
                f"eps prediction says nothing of the image where there is only noise, as at the last level of {what}; "
                "use v or x0"
            )
        if self.sigma_data is not None and not 0 < self.sigma_data < math.inf:
            raise ValueError(f"sigma_data must be above 0 and finite, not {self.sigma_data}")
        return self

    @property
    def scales_input(self) -> bool:
        """Whether the network's input is brought to variance 1: where x grows with the noise, and as part of EDM."""
        return self.prediction == "edm" or self.schedule in UNBOUNDED


class ObjectiveConfig(Strict):
    """What training makes small.

    Attributes:
        loss: the simple loss, the variational bound, or both, the bound for the variance alone.
        weighting: of the levels in the simple loss; "simple" takes the network's error as it is.
        gamma: of min-snr (5 if None) and p2 (1 if None).
        levels: how the levels of a step are drawn.
        mean, std: of log-normal's logarithm (-1.2 and 1.2 if None), or logit-normal's logit (0 and 1).
        share: of the bound in the hybrid loss; 0.001 if None.
    """

    loss: LossName = "simple"
    weighting: WeightingName = "simple"
    gamma: float | None = None
    levels: LevelSamplingName = "uniform"
    mean: float | None = None
    std: float | None = None
    share: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.gamma is not None and self.weighting not in ("min-snr", "p2"):
            raise ValueError(f"gamma is an option of the weightings min-snr and p2, not of {self.weighting}")
        for name in ("mean", "std"):
            if getattr(self, name) is not None and self.levels not in ("log-normal", "logit-normal"):
                raise ValueError(f"{name} is an option of log-normal and logit-normal levels, not of {self.levels}")
        for name in ("gamma", "std"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        if self.mean is not None and not math.isfinite(self.mean):
            raise ValueError(f"mean must be finite, not {self.mean}")
        if self.share is not None and self.loss != "hybrid":
            raise ValueError(f"share is an option of the hybrid loss, not of {self.loss}")
        if self.share is not None and not 0 < self.share < math.inf:
            raise ValueError(f"share must be above 0 and finite, not {self.share}")
        if self.loss == "vlb" and self.weighting != "simple":
            raise ValueError(
                f"the bound weighs its levels itself: weighting {self.weighting} belongs to simple or hybrid"
            )
        if self.loss == "vlb" and self.levels in ("log-normal", "logit-normal"):
            raise ValueError(
                f"{self.levels} levels would give the bound other weights, and it would bound nothing; "
                "use uniform, stratified or importance"
            )
        return self


class SamplingConfig(Strict):
    """How samples are drawn unless asked otherwise.

    Attributes:
        solver, steps, grid: how the reverse process is solved.
        eta: DDIM's share of fresh noise.
        guidance: scale of classifier-free guidance; 1 for none.
        clip: whether the expected image is kept in the range of images.
    """

    solver: SolverName = "ddim"
    steps: int = 50
    grid: GridName = "trailing"
    eta: float | None = None
    guidance: float = 1.0
    clip: bool = True

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if self.eta is not None and self.solver != "ddim":
            raise ValueError(f"eta is an option of ddim, not of {self.solver}")
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be between 0 (deterministic) and 1 (ancestral), not {self.eta}")
        if self.guidance < 0:
            raise ValueError(f"guidance must be at least 0, not {self.guidance}")
        return self


class RunConfig(Strict):
    """One run, resolved to the last number.

    Attributes:
        format: of this file.
        recipe: where the numbers came from.
        request: what the user asked for when the run was started, word for word.
        scoring: of the run while it trains; None for none.
    """

    format: Literal[1] = 1
    recipe: str
    request: dict[str, Any]
    data: DataConfig
    diffusion: DiffusionConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    network: UNetSettings
    training: TrainSettings
    sampling: SamplingConfig
    scoring: ScoringSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        channels = len(data.mode)
        if net.in_channels != channels:
            raise ValueError(f"network.in_channels must be {channels} for {data.mode} images")
        learned = self.diffusion.variance == "learned"
        if net.out_channels != channels * (2 if learned else 1):
            raise ValueError(
                f"network.out_channels must be {channels * 2} for {data.mode} images and their variances"
                if learned
                else f"network.out_channels must be {channels} for {data.mode} images"
            )
        if learned and self.objective.loss == "simple":
            raise ValueError("nothing in the simple loss trains a learned variance: use --loss hybrid or vlb with it")
        if self.objective.loss == "hybrid" and not learned:
            raise ValueError(
                "the hybrid loss is the simple one and, for the variance alone, the bound: it needs --variance learned"
            )
        if self.diffusion.sigma_data is not None and not (
            self.diffusion.scales_input or self.objective.weighting == "edm"
        ):
            raise ValueError(
                "diffusion.sigma_data has no effect but with EDM's prediction, weighting or schedule, or ve"
            )
        if net.space != 2:
            raise ValueError(f"network.space must be 2 for images, not {net.space}")
        if bool(data.classes) != (net.cond_width is not None):
            raise ValueError(
                "network.cond_width must be a number, as classes are learned"
                if data.classes
                else "network.cond_width must be null, as no classes are learned"
            )
        if any(n % net.factor for n in data.size):
            height, width = (max(1, round(n / net.factor)) * net.factor for n in data.size)
            raise ValueError(
                f"images of {data.size[0]} × {data.size[1]} do not divide by {net.factor}, the network's coarsest "
                f"factor; the nearest size that does is --size {height}x{width}"
            )
        for name, settings in (("sampling", self.sampling), ("scoring", self.scoring)):
            if settings is not None and settings.steps > self.diffusion.T:
                raise ValueError(f"{name}.steps is {settings.steps}; it must be at most {self.diffusion.T}, the levels")
        return self

    @classmethod
    def parse(cls, tree: Mapping[str, Any], where: str = "the configuration") -> Self:
        """Validate a tree of plain values.

        Raises:
            InputError: an unknown key, with the nearest known one, or a value that is not allowed.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as e:
            raise InputError(f"{where}: {explain(e, cls)}") from e

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a config.json.

        Raises:
            InputError: it is absent, no JSON, or not such a config.
        """
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path.parent} is not a run folder: it has no {path.name}") from None
        except (OSError, ValueError) as e:
            raise InputError(f"{path} cannot be read ({e}); restore it from a copy") from e
        if not isinstance(tree, dict) or "format" not in tree:
            raise InputError(f"{path} is not the config of a ddpm run; give a folder that `ddpm train` made")
        if tree["format"] != FORMAT:
            raise InputError(f"{path} has format {tree['format']}, and this version of ddpm reads format {FORMAT}")
        return cls.parse(tree, str(path))

    def to_json(self) -> str:
        """As it is written to config.json."""
        return self.model_dump_json(indent=2) + "\n"


def explain(error: ValidationError, root: type) -> str:
    """The first problem of a pydantic error in one line; an unknown key with the nearest known one."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        *parents, key = (str(part) for part in first["loc"])
        return f"unknown key {place!r}{suggest(key, _names(_at(root, parents)))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def suggest(word: str, known: list[str]) -> str:
    """ " (did you mean …?)", or what is known."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"


def _at(root: type, parents: list[str]) -> type:
    for name in parents:
        if issubclass(root, BaseModel):
            found: Any = root.model_fields[name].annotation
            root = next((part for part in get_args(found) if part is not NoneType), found)  # of X | None, X
    return root


def _names(node: type) -> list[str]:
    if is_dataclass(node):
        return [f.name for f in fields(node)]
    return list(node.model_fields) if issubclass(node, BaseModel) else []
