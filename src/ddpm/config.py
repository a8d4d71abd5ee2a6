"""The typed tree of one run: all that is needed to build it again."""

import json
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

ScheduleName = Literal["linear", "scaled-linear", "cosine", "sigmoid"]
PredictionName = Literal["eps", "x0", "v", "flow"]
SolverName = Literal["ddim", "ancestral", "ancestral-large"]
GridName = Literal["uniform", "linspace", "leading", "trailing", "quadratic"]


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
        T: number of noise levels.
        zero_terminal_snr: whether the last level is made pure noise.
        prediction: what the network estimates.
    """

    schedule: ScheduleName = "cosine"
    T: int = 1000
    zero_terminal_snr: bool = False
    prediction: PredictionName = "v"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.T < 1:
            raise ValueError(f"T must be at least 1, not {self.T}")
        if self.zero_terminal_snr and self.prediction == "eps":
            raise ValueError("eps prediction says nothing of the image where there is only noise; use v or x0")
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
    network: UNetSettings
    training: TrainSettings
    sampling: SamplingConfig
    scoring: ScoringSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        channels = len(data.mode)
        if net.in_channels != channels or net.out_channels != channels:
            raise ValueError(f"network.in_channels and network.out_channels must be {channels} for {data.mode} images")
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
