"""How samples are drawn."""

from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, model_validator

from ddpm.config.clipping import ClipConfig, FixedClip
from ddpm.config.grid import GridSetting, listing, timesteps
from ddpm.config.guidance import ClassifierGuidanceConfig, GuidanceConfig
from ddpm.config.options import Flag, changed
from ddpm.config.solver import PlainSolver, SolverConfig
from ddpm.system.names import AncestralSolverName, GridName, PrecisionName, TickGridName
from ddpm.system.record import Strict, bounds
from ddpm.system.tree import Short

ANCESTRAL: tuple[AncestralSolverName, ...] = get_args(AncestralSolverName)
"""Solvers whose steps have a mean that a classifier may shift."""


class AreaConfig(Strict):
    """Images of another size than in training.

    Attributes:
        size: (H, W).
        whole: ask the network for all of an image at once, rather than for overlapping windows of it.
    """

    size: tuple[Annotated[int, bounds(1)], Annotated[int, bounds(1)]]
    whole: Annotated[
        bool,
        Flag(
            "Ask the network for images of another size at once, not in windows; sizes must halve as the network does."
        ),
    ] = False


def _guides(guidance: GuidanceConfig | None) -> GuidanceConfig | None:
    return None if guidance is None or guidance.scale == 1 else guidance


class SamplingConfig(Strict):
    """How samples are drawn unless asked otherwise.

    Attributes:
        solver, steps: how the reverse process is solved.
        grid: a name, or the timesteps to visit, noisiest first, one per step; also as a text, "1000,700,99".
        guidance: by labels or a weaker checkpoint; None for none, as a scale of 1 is.
        classifier: guidance by the run's classifier; None for none.
        clip: how the expected image is kept in the range of images.
        precision: what the network computes in, fp32 if None; solver and guidance stay in float32.
        area: the images' size; None for that of training.
    """

    solver: SolverConfig = PlainSolver(name="unipc-2")
    steps: Annotated[int, bounds(1), Flag("Steps of the solver; the run's own choice where not given.")] = 20
    grid: Annotated[
        GridSetting,
        Flag(
            f"{', '.join(get_args(GridName))}; or the levels to visit, noisiest first, as in 1000,700,400,100, and "
            "then clean.",
            kind=str,
        ),
    ] = "power"
    guidance: Annotated[
        GuidanceConfig | None,
        Short("scale"),
        AfterValidator(_guides),
        Flag("Scale of guidance, classifier-free unless --guide-with; 1 for none.", off=1.0),
    ] = None
    classifier: Annotated[
        ClassifierGuidanceConfig | None,
        Short("scale"),
        Flag(
            "Scale of guidance by the run's classifier of noised images, which `ddpm train-classifier` trains; with "
            "--label."
        ),
    ] = None
    clip: ClipConfig = FixedClip(kind="range")
    precision: Annotated[
        PrecisionName | None,
        Flag("Of the network: fp32, or bf16 (fp16), which is faster where the device computes it natively."),
    ] = None
    area: Annotated[
        AreaConfig | None,
        Short("size"),
        Flag(
            "Side of the images, or height x width, where larger than in training: drawn in overlapping windows.",
            name="size",
        ),
    ] = None

    @classmethod
    def of(cls, **given: Any) -> "SamplingConfig":
        """From flat options: ``SamplingConfig.of(solver="ddim", eta=0.5, guidance=2)``.

        Raises:
            InputError: an unknown name, or a value that is not allowed or has no effect.
        """
        return changed(cls(), given, without=() if "steps" in given or "grid" not in given else ("steps",))

    @model_validator(mode="before")
    @classmethod
    def _steps_of_places(cls, given: Any) -> Any:
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
                f"classifier_form mean moves an ancestral step, and {self.solver.name} takes none; "
                f"use the score's form, or solver {', '.join(ANCESTRAL)}"
            )
        return self

    @property
    def guidance_scale(self) -> float:
        """Of guidance; 1 for none."""
        return 1.0 if self.guidance is None else self.guidance.scale

    @property
    def clips(self) -> bool:
        """Whether the expected image is kept in range."""
        return self.clip.kind != "none"

    @property
    def short(self) -> str:
        """Solver and steps in a name: "ddim50", "unipc-2x20"."""
        return f"{self.solver.name}{'x' if self.solver.name[-1].isdecimal() else ''}{self.steps}"

    @property
    def words(self) -> str:
        """As people say it: "unipc-2, 20 steps, power grid, guidance 1.5"."""
        grid = f"{self.grid} grid" if isinstance(self.grid, str) else "at " + ", ".join(f"{p:.4g}" for p in self.grid)
        guided = "" if self.guidance is None else f", guidance {self.guidance.scale:g}"
        rounded = "" if self.precision is None else f", {self.precision}"
        classified = "" if self.classifier is None else f", classifier {self.classifier.scale:g}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"{self.solver.name}, {steps}, {grid}{guided}{classified}{rounded}"

    def summary(self, labelled: bool) -> str:
        """The same of images with a label or without, which are guided by a checkpoint or a classifier only."""
        led = labelled or (self.guidance is not None and self.guidance.guide is not None)
        return self.words if led else self.model_copy(update={"guidance": None}).words

    @property
    def visits(self) -> str:
        """The grid as it is typed."""
        return self.grid if isinstance(self.grid, str) else listing(self.grid)

    @property
    def on_ticks(self) -> bool:
        """Whether the grid takes at most as many steps as a schedule has noisy ticks."""
        return self.grid in get_args(TickGridName)
