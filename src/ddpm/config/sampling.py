"""How samples are drawn."""

import math
from typing import Any, Literal, Self, get_args

from pydantic import model_validator

from ddpm.config.grid import GridSetting, listing, places
from ddpm.system.names import PrecisionName, SolverName, TickGridName
from ddpm.system.record import Strict

OF_GUIDANCE = (
    *("negative", "guide_with"),
    *("guidance_interval", "guidance_rescale", "guidance_parallel", "guidance_norm"),
)
"""Options that change how guidance is done."""


OF_SOLVER: dict[str, tuple[SolverName, ...]] = {
    "eta": ("ddim", "euler-ancestral"),
    "churn": ("edm",),
    "tolerance": ("adaptive",),
    "temperature": (
        *("sde-dpm++-2m", "sde-dpm++-3m", "ancestral", "ancestral-small", "ancestral-large"),
        *("ddim", "euler-ancestral", "edm", "langevin"),
    ),
}
"""Options that some solvers alone have, and these, the one first that is taken where no solver is named."""

ANCESTRAL: tuple[SolverName, ...] = ("ancestral", "ancestral-small", "ancestral-large")
"""Solvers whose steps have a mean that a classifier may shift."""


class Guide(Strict):
    """A checkpoint of the same run, for autoguidance.

    Attributes:
        checkpoint: its name, "step-…".
        weights: hash of its averaged weights.
    """

    checkpoint: str
    weights: str

    def __str__(self) -> str:
        return self.checkpoint


class SamplingConfig(Strict):
    """How samples are drawn unless asked otherwise.

    Attributes:
        solver, steps: how the reverse process is solved.
        grid: a name, or the places to visit, noisiest first, which are as many as steps; also as a text, "1000,700,99".
        eta: share of fresh noise, of ddim and euler-ancestral.
        churn: noise that edm adds on the way, S_churn.
        tolerance: error that adaptive allows in each of its steps.
        temperature: scale of the fresh noise of solvers that draw any.
        guidance: scale of classifier-free guidance; 1 for none.
        negative: the class to guide away from; None for no class in particular.
        guide_with: the worse checkpoint to guide away from, instead of a label; None for none.
        classifier: scale of guidance by the run's classifier of noised images; None for none.
        classifier_form: of the score, with every solver, or of the mean of an ancestral step; the score's if None.
        classifier_weights: hash of the classifier's weights.
        guidance_interval: guidance only where the noise-to-signal ratio, EDM's sigma, lies within; None for everywhere.
        guidance_rescale: share of the guided image that is brought back to its contrast without guidance.
        guidance_parallel: how much is kept of guidance along the expected image, 0 in projected guidance; None for all.
        guidance_norm: bound of the Euclidean norm of the difference that guidance follows; None for none.
        clip: whether the expected image is kept in the range of images.
        threshold: the quantile of dynamic thresholding, which clips in place of the fixed range; None for that.
        precision: what the network computes in, fp32 if None; solver and guidance stay in float32.
        size: (H, W) of the images; None for that of training.
        whole: ask the network for images of another size at once, rather than for overlapping windows of them.
    """

    solver: SolverName = "unipc-2"
    steps: int = 20
    grid: GridSetting = "trailing"
    eta: float | None = None
    churn: float | None = None
    tolerance: float | None = None
    temperature: float | None = None
    guidance: float = 1.0
    negative: str | None = None
    guide_with: Guide | None = None
    classifier: float | None = None
    classifier_form: Literal["score", "mean"] | None = None
    classifier_weights: str | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float | None = None
    guidance_parallel: float | None = None
    guidance_norm: float | None = None
    clip: bool = True
    threshold: float | None = None
    precision: PrecisionName | None = None
    size: tuple[int, int] | None = None
    whole: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _steps_of_places(cls, given: Any) -> Any:
        if isinstance(given, dict) and "steps" not in given and (listed := places(given.get("grid"))):
            return {**given, "steps": len(listed)}
        return given

    @model_validator(mode="before")
    @classmethod
    def _solver_of_options(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "solver" in given:
            return given
        wanted = [solvers for option, solvers in OF_SOLVER.items() if given.get(option) is not None]
        fitting = [solver for solver in (wanted[0] if wanted else ()) if all(solver in others for others in wanted)]
        return {**given, "solver": fitting[0]} if fitting else given

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if not isinstance(self.grid, str) and self.steps != len(self.grid):
            raise ValueError(
                f"steps is {self.steps}, and the grid lists {len(self.grid)} places; leave steps out, or list as many"
            )
        if not 0 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be at least 0 and finite, not {self.guidance}")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size must be at least 1 x 1, not {self.size[0]} x {self.size[1]}")
        if self.whole and self.size is None:
            raise ValueError("whole has no effect without a size")
        if self.threshold is not None and not self.clip:
            raise ValueError("threshold is a way of clipping, and clip is off; leave out one of the two")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, not {self.threshold}")
        return self

    @model_validator(mode="after")
    def _solves(self) -> Self:
        for option, solvers in OF_SOLVER.items():
            if getattr(self, option) is not None and self.solver not in solvers:
                raise ValueError(f"{option} is an option of {' and '.join(solvers)}, not of {self.solver}")
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be between 0 (deterministic) and 1 (ancestral), not {self.eta}")
        if self.churn is not None and not 0 <= self.churn < float("inf"):
            raise ValueError(f"churn must be at least 0 and finite, not {self.churn}")
        if self.tolerance is not None and not 0 < self.tolerance < float("inf"):
            raise ValueError(f"tolerance must be above 0 and finite, not {self.tolerance}")
        if self.temperature is not None:
            if not 0 <= self.temperature < math.inf:
                raise ValueError(f"temperature must be at least 0 and finite, not {self.temperature}")
            if (self.solver == "ddim" and not self.eta) or 0 in (self.eta, self.churn):
                option = "churn" if self.solver == "edm" else "eta"
                raise ValueError(f"temperature has no effect, as {self.solver} draws no noise; give {option} above 0")
        return self

    @model_validator(mode="after")
    def _guides(self) -> Self:
        idle = [name for name in OF_GUIDANCE if getattr(self, name) is not None]
        if self.classifier is not None and "guidance_interval" in idle:
            idle.remove("guidance_interval")  # it holds for every guidance
        if self.guidance == 1 and idle:
            raise ValueError(f"{idle[0]} has no effect without guidance; give a guidance other than 1")
        if self.negative is not None and self.guide_with is not None:
            raise ValueError("negative and guide_with are two things to guide away from; give one")
        if self.guidance_interval is not None:
            low, high = self.guidance_interval
            if not 0 <= low < high < math.inf:
                raise ValueError(
                    f"guidance_interval must be two ratios of noise to signal, low first, not {low} {high}"
                )
        if self.guidance_rescale is not None and not 0 < self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale must be above 0 and at most 1, not {self.guidance_rescale}")
        if self.guidance_parallel is not None and not 0 <= self.guidance_parallel < 1:
            raise ValueError(f"guidance_parallel must be at least 0 and below 1, not {self.guidance_parallel}")
        if self.guidance_norm is not None and not 0 < self.guidance_norm < math.inf:
            raise ValueError(f"guidance_norm must be above 0 and finite, not {self.guidance_norm}")
        return self

    @model_validator(mode="after")
    def _guides_by_a_classifier(self) -> Self:
        if self.classifier is None:
            for name in ("classifier_form", "classifier_weights"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} has no effect without a classifier; give its scale, as in classifier 1")
            return self
        if not 0 < self.classifier < math.inf:
            raise ValueError(f"classifier must be above 0 and finite, not {self.classifier}; leave it out for none")
        if self.classifier_form == "mean" and self.solver not in ANCESTRAL:
            raise ValueError(
                f"classifier_form mean moves an ancestral step, and {self.solver} takes none; "
                f"use the score's form, or solver {', '.join(ANCESTRAL)}"
            )
        return self

    @property
    def short(self) -> str:
        """Solver and steps in a name: "ddim50", "unipc-2x20"."""
        return f"{self.solver}{'x' if self.solver[-1].isdecimal() else ''}{self.steps}"

    @property
    def words(self) -> str:
        """As people say it: "unipc-2, 20 steps, trailing grid, guidance 1.5"."""
        grid = f"{self.grid} grid" if isinstance(self.grid, str) else "at " + ", ".join(f"{p:.4g}" for p in self.grid)
        guided = "" if self.guidance == 1 else f", guidance {self.guidance:g}"
        rounded = "" if self.precision is None else f", {self.precision}"
        classified = "" if self.classifier is None else f", classifier {self.classifier:g}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"{self.solver}, {steps}, {grid}{guided}{classified}{rounded}"

    def told(self, labelled: bool) -> str:
        """The same of images with a label or without, which are guided by a checkpoint or a classifier only."""
        led = labelled or self.guide_with is not None
        return self.words if led else self.model_copy(update={"guidance": 1.0}).words

    @property
    def visits(self) -> str:
        """The grid as it is typed."""
        return self.grid if isinstance(self.grid, str) else listing(self.grid)

    @property
    def on_ticks(self) -> bool:
        """Whether the grid takes at most as many steps as a schedule has noisy ticks."""
        return self.grid in get_args(TickGridName)
