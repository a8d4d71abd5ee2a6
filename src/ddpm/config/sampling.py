"""Sampling settings."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from ddpm.config.grid import GridSetting, listing, timesteps
from ddpm.config.guidance import ClassifierGuidanceConfig, GuidanceConfig
from ddpm.config.options import Flag, changed, options
from ddpm.config.solver import PlainSolver, SolverConfig
from ddpm.system.limits import LARGEST_SIDE, MOST_TIMESTEPS
from ddpm.system.names import AncestralSolverName, GridName, PrecisionName, TickGridName
from ddpm.system.record import Strict, at_most, bounds
from ddpm.system.tree import Short, at

ANCESTRAL: tuple[AncestralSolverName, ...] = get_args(AncestralSolverName)
"""The solvers whose steps have a mean that a classifier can shift."""


class AreaConfig(Strict):
    """Sampling at another size than in training.

    Attributes:
        size: (H, W).
        whole: Whether to run the network on the whole image, instead of on overlapping windows.
    """

    size: tuple[Annotated[int, bounds(1), at_most(LARGEST_SIDE)], Annotated[int, bounds(1), at_most(LARGEST_SIDE)]]
    whole: Annotated[
        bool,
        Flag(
            "Run the network on whole images of another size instead of windows; its downsampling must divide the size."
        ),
    ] = False


class FixedClip(Strict):
    """Clipping to the pixel range, or none."""

    kind: Literal["range", "none"]


class DynamicClip(Strict):
    """Dynamic thresholding (Saharia et al. 2022, sec. 2.3): a quantile of absolute values becomes the range's end."""

    kind: Literal["dynamic"]
    quantile: Annotated[
        float,
        bounds(0, 1, above=True),
        Flag(
            "Clip by dynamic thresholding at this quantile of each image, such as 0.995; for high guidance scales.",
            name="threshold",
        ),
    ]


ClipConfig = Annotated[
    FixedClip | DynamicClip,
    Field(discriminator="kind"),
    Short("kind"),
    Flag("Clip the predicted clean image to the pixel range.", kind=bool, switch=("range", "none")),
]


def _guides(guidance: GuidanceConfig | None) -> GuidanceConfig | None:
    return None if guidance is None or guidance.scale == 1 else guidance


class SamplingConfig(Strict):
    """The default sampling settings of a run.

    Attributes:
        solver, steps: The solver of the reverse process, and its number of steps.
        grid: A name, or the timesteps to visit, noisiest first, one per step; also as text, "1000,700,99".
        guidance: Guidance by labels or an earlier version of the run; None for none, as for a scale of 1.
        classifier: Guidance by the run's classifier; None for none.
        clip: The clipping of the expected image to the pixel range.
        precision: The precision of the network, fp32 if None; solver and guidance stay in float32.
        area: The size of the images; None for that of training.
    """

    solver: SolverConfig = PlainSolver(name="unipc-2")
    steps: Annotated[
        int, bounds(1), at_most(MOST_TIMESTEPS), Flag("Steps of the solver; the run's default if not given.")
    ] = 20
    grid: Annotated[
        GridSetting,
        Flag(
            f"{', '.join(get_args(GridName))}; or the timesteps to visit, noisiest first, such as 1000,700,400,100; "
            "0 is appended.",
            kind=str,
        ),
    ] = "trailing"
    guidance: Annotated[
        GuidanceConfig | None,
        Short("scale"),
        AfterValidator(_guides),
        Flag("Guidance scale, classifier-free unless --guide-with is given; 1 turns it off.", off=1.0),
    ] = None
    classifier: Annotated[
        ClassifierGuidanceConfig | None,
        Short("scale"),
        Flag("Scale of guidance by the run's classifier, which `ddpm train-classifier` trains; requires --label."),
    ] = None
    clip: ClipConfig = FixedClip(kind="range")
    precision: Annotated[
        PrecisionName | None,
        Flag("Precision of the network: fp32, or bf16 (fp16), which is faster with native support."),
    ] = None
    area: Annotated[
        AreaConfig | None,
        Short("size"),
        Flag(
            "Side of the images, or height x width, if larger than in training; sampled in overlapping windows.",
            name="size",
        ),
    ] = None

    @classmethod
    def of(cls, **given: Any) -> "SamplingConfig":
        """Settings from flat options: ``SamplingConfig.of(solver="ddim", eta=0.5, guidance=2)``.

        Raises:
            InputError: if a name is unknown, or a value is not allowed or has no effect.
        """
        return changed(cls(), given, without=() if "steps" in given or "grid" not in given else ("steps",))

    @model_validator(mode="before")
    @classmethod
    def _steps_of_listed_grid(cls, given: Any) -> Any:
        if isinstance(given, dict) and "steps" not in given and (listed := timesteps(given.get("grid"))):
            return {**given, "steps": len(listed)}
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not isinstance(self.grid, str) and self.steps != len(self.grid):
            raise ValueError(f"steps is {self.steps}, but the grid lists {len(self.grid)} timesteps; leave out --steps")
        mean = self.classifier is not None and self.classifier.form == "mean"
        if mean and self.solver.name not in ANCESTRAL:
            raise ValueError(
                f"classifier_form mean requires an ancestral solver, not {self.solver.name}; "
                f"use classifier_form score, or solver {', '.join(ANCESTRAL)}"
            )
        return self

    @property
    def guidance_scale(self) -> float:
        """The guidance scale; 1 for none."""
        return 1.0 if self.guidance is None else self.guidance.scale

    @property
    def given(self) -> dict[str, tuple[str, Any]]:
        """The options that give every image a condition: their flat names and values, by kind of condition."""
        marked = {option.flag.condition: (name, option) for name, option in options(type(self)).items()}
        values = {kind: (name, at(self, option.paths[0])) for kind, (name, option) in marked.items() if kind}
        return {kind: (name, value) for kind, (name, value) in values.items() if value is not None}

    @property
    def conditions(self) -> dict[str, Any]:
        """The raw conditions of every image that the settings give, by kind: a number, or a list of numbers.

        Steps and guidance are conditions of a student that has learned several values of them.
        """
        own = {"steps": float(self.steps), "guidance": float(self.guidance_scale)}
        return own | {kind: value for kind, (_, value) in self.given.items()}

    @property
    def clips(self) -> bool:
        """Whether the expected image is clipped."""
        return self.clip.kind != "none"

    @property
    def short(self) -> str:
        """Solver and steps as a short name: "ddim50", "unipc-2x20"."""
        return f"{self.solver.name}{'x' if self.solver.name[-1].isdecimal() else ''}{self.steps}"

    @property
    def words(self) -> str:
        """A short description: "unipc-2, 20 steps, power grid, guidance 1.5"."""
        grid = f"{self.grid} grid" if isinstance(self.grid, str) else "at " + ", ".join(f"{p:.4g}" for p in self.grid)
        guided = "" if self.guidance is None else f", guidance {self.guidance.words}"
        rounded = "" if self.precision is None else f", {self.precision}"
        classified = "" if self.classifier is None else f", classifier {self.classifier.scale:g}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        given = "".join(f", {name} {value}" for name, value in self.given.values())
        return f"{self.solver.name}, {steps}, {grid}{guided}{classified}{given}{rounded}"

    def summary(self, labelled: bool) -> str:
        """The description for images with a label, or without, where only other conditions can guide."""
        led = labelled or bool(self.given) or (self.guidance is not None and self.guidance.guide is not None)
        return self.words if led else self.model_copy(update={"guidance": None}).words

    @property
    def visits(self) -> str:
        """The grid in the form that users type."""
        return self.grid if isinstance(self.grid, str) else listing(self.grid)

    @property
    def on_ticks(self) -> bool:
        """Whether the grid has at most as many steps as the schedule has noisy ticks."""
        return self.grid in get_args(TickGridName)
