"""The configuration of a run, and its file."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.distillation import DistillationConfig
from ddpm.config.grid import Timesteps
from ddpm.config.guidance_search import GuidanceSearchSettings
from ddpm.config.network import NetworkSettings
from ddpm.config.objective import ObjectiveConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.scoring import ScoringSettings
from ddpm.config.text import TextConfig
from ddpm.config.training import TrainSettings
from ddpm.config.upscaling import UpscalingConfig
from ddpm.system.ranges import nearest_multiple, spelled
from ddpm.system.record import Record
from ddpm.system.tree import at

GIVEN_BY = {
    "label": ("data", "classes"),
    "caption": ("text",),
    "low_resolution": ("upscaling",),
    "masked_image": ("inpainting",),
    "steps": ("distillation", "grids"),
    "guidance": ("distillation", "guidance"),
}
"""Kind of condition -> the path in a run's settings that is set if the run learns it."""


IMPORTED = "imported"
"""The recipe of a model that another program trained."""


def kinds(settings: Any) -> tuple[str, ...]:
    """The kinds of conditions of a run's settings, or of their tree, in the order of ``GIVEN_BY``."""
    return tuple(kind for kind, path in GIVEN_BY.items() if at(settings, path))


def channels_of(
    codec: CodecConfig, mode: str, *, upscaling: bool, learned: bool, inpainting: bool = False
) -> tuple[int, int]:
    """The input channels of a run's network, including those of upscaled or masked images, and its output channels."""
    channels = codec.channels(len(mode))
    return channels * (2 if upscaling or inpainting else 1) + inpainting, channels * (2 if learned else 1)


class RunConfig(Record):
    """A fully resolved run.

    Attributes:
        recipe: The recipe that the numbers came from.
        request: The user's request when the run was started, verbatim.
        scoring: The evaluation during training; None for none.
        guidance_search: The search for guidance at the end of training; None for none.
        upscaling: The super-resolution settings, if the run learns it.
        distillation: The teacher, if the run is a student, which samples in few steps.
        text: The encoder of captions, if the run learns from them.
        inpainting: Whether the network also sees a mask and the image without what it hides.
    """

    WRITER: ClassVar[str] = "ddpm train"
    recipe: str
    request: dict[str, Any]
    data: DataConfig
    diffusion: DiffusionConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    network: NetworkSettings
    codec: CodecConfig = PixelCodecConfig()
    training: TrainSettings
    sampling: SamplingConfig
    scoring: ScoringSettings | None = None
    guidance_search: GuidanceSearchSettings | None = None
    upscaling: UpscalingConfig | None = None
    distillation: DistillationConfig | None = None
    text: TextConfig | None = None
    inpainting: bool = False

    @property
    def conditions(self) -> tuple[str, ...]:
        """The kinds of conditions that the run learns."""
        return kinds(self)

    @property
    def guides(self) -> bool:
        """Whether labels or prompts can guide the run, as it was trained both with and without them."""
        return (bool(self.data.classes) or self.text is not None) and self.training.label_dropout > 0

    @property
    def aim(self) -> str:
        """A short description of the objective: "simple loss, uniform levels", "4-step student of runs/digits …"."""
        return self.objective.words if self.distillation is None else self.student

    @property
    def student(self) -> str:
        """A short description of a student: "4-step student of runs/digits, guidance 1.15"; empty for other runs."""
        taught, numbers = self.distillation, spelled(map(len, self.paths))
        if taught is None:
            return ""
        kind = "consistency student" if taught.method == "consistency" else "student"
        return f"{numbers}-step {kind} of {taught.teacher}{taught.guided}"

    @property
    def paths(self) -> tuple[Timesteps, ...]:
        """The timesteps of a student for each number of steps that it learned, fewest first; empty for other runs."""
        taught, own = self.distillation, self.sampling.grid
        return () if taught is None or isinstance(own, str) else taught.grids or taught.visits or (own,)

    @property
    def divisor(self) -> int:
        """The number that must divide each side of an image."""
        return self.network.divisor * self.codec.factor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of x."""
        height, width = (n // self.codec.factor for n in self.data.size)
        return self.codec.channels(len(self.data.mode)), height, width

    @model_validator(mode="after")
    def _trains_on_images(self) -> Self:
        if not self.training.images and self.recipe != IMPORTED:
            raise ValueError("training.images is 0; it must be at least 1")
        return self

    @model_validator(mode="after")
    def _network_fits_images(self) -> Self:
        net, mode, learned = self.network, self.data.mode, self.diffusion.variance == "learned"
        seen, answered = channels_of(
            self.codec, mode, upscaling=self.upscaling is not None, learned=learned, inpainting=self.inpainting
        )
        if net.in_channels != seen:
            both = "" if self.upscaling is None else " and the upscaled small images"
            both += ", their masks and what these leave" * self.inpainting
            raise ValueError(f"network.in_channels must be {seen} for {mode} images{both}")
        if net.out_channels != answered:
            raise ValueError(
                f"network.out_channels must be {answered} for {mode} images and their variances"
                if learned
                else f"network.out_channels must be {answered} for {mode} images"
            )
        return self

    @model_validator(mode="after")
    def _objective_fits_diffusion(self) -> Self:
        diffusion, objective = self.diffusion, self.objective
        learned = diffusion.variance == "learned"
        if learned and objective.loss.name == "simple":
            raise ValueError("--variance learned is not trained by --loss simple; use --loss hybrid or vlb")
        if objective.loss.name == "hybrid" and not learned:
            raise ValueError("--loss hybrid requires --variance learned")
        if diffusion.sigma_data is not None and not (diffusion.scales_input or objective.weighting.name == "edm"):
            raise ValueError(
                "diffusion.sigma_data requires the edm prediction, weighting or schedule, or the ve schedule"
            )
        return self

    @model_validator(mode="after")
    def _network_fits_conditions(self) -> Self:
        net = self.network
        if net.space != 2:
            raise ValueError(f"network.space must be 2 for images, not {net.space}")
        tokens = None if self.text is None else self.text.token_width
        without = {"masked_image", *(("caption",) if tokens else ())}
        vectors = [kind for kind in self.conditions if kind not in without]
        if bool(vectors) != (net.cond_width is not None):
            given = " and ".join(vectors)
            only = "only its captions' tokens as" if self.conditions else "no"
            raise ValueError(
                f"network.cond_width must be null, as the run has {only} conditions"
                if net.cond_width is not None
                else f"network.cond_width must be a number, as the run is conditioned on {given}"
            )
        if self.text is None and net.kind != "dit" and net.token_width is not None:
            raise ValueError("network.token_width must be null, as the run has no captions")
        if self.text is not None and net.token_width not in (None, tokens or net.cond_width):
            raise ValueError(
                f"network.token_width must be {tokens}, that of the text's tokens"
                if tokens
                else f"network.token_width must be network.cond_width, which is {net.cond_width}"
            )
        if self.text is not None and net.token_width is None:
            raise ValueError(f"network {net.kind} takes no captions; use --no-text, or --network unet or dit")
        return self

    @model_validator(mode="after")
    def _scale_divides_size(self) -> Self:
        height, width = self.data.size
        if self.upscaling is not None and (height % self.upscaling.scale or width % self.upscaling.scale):
            raise ValueError(
                f"images of {height} × {width} are not divisible by --scale {self.upscaling.scale}; "
                "use a --size that is"
            )
        return self

    @model_validator(mode="after")
    def _student_follows_teacher(self) -> Self:
        taught = self.distillation
        if taught is not None and not all(map(taught.passes, (self.sampling.grid, *self.paths))):
            raise ValueError("the grids of a student must list timesteps of distillation.sampling.grid")
        if taught is not None and self.sampling.grid not in self.paths:
            raise ValueError("sampling.grid of a student must be one of distillation.grids")
        return self

    @model_validator(mode="after")
    def _codec_fits_task(self) -> Self:
        if self.upscaling is not None and not self.codec.in_pixels:
            raise ValueError("super-resolution enlarges pixels, and has no --codec; leave it out")
        if self.sampling.clips and not self.codec.in_pixels:
            raise ValueError("sampling.clip must be none, as latents have no fixed range")
        return self

    @model_validator(mode="after")
    def _recipe_fits_task(self) -> Self:
        if self.inpainting and self.recipe != IMPORTED:
            raise ValueError("inpainting must be false, as only imported networks are conditioned on masks")
        if self.upscaling is not None and self.scoring is not None:
            raise ValueError("--during-training cannot score super-resolution; leave it out")
        return self

    @model_validator(mode="after")
    def _divisor_divides_size(self) -> Self:
        size, divisor = self.data.size, self.divisor
        if any(n % divisor for n in size):
            height, width = (nearest_multiple(n, divisor) for n in size)
            raise ValueError(
                f"images of {size[0]} × {size[1]} are not divisible by {divisor}, as the network "
                f"requires; use the nearest size that is, --size {height}x{width}"
            )
        return self

    @model_validator(mode="after")
    def _steps_fit_levels(self) -> Self:
        T, sampling = self.diffusion.T, self.sampling
        counted = {"sampling": sampling if sampling.on_ticks else None, "scoring": self.scoring}
        for name, settings in (counted | {"guidance_search": self.guidance_search}).items():
            if settings is not None and settings.steps > T:
                raise ValueError(f"{name}.steps is {settings.steps}; it must be at most {T}, the number of levels")
        if not isinstance(sampling.grid, str) and sampling.grid[0] > T:
            raise ValueError(
                f"sampling.grid is {sampling.visits}; it must start at {T}, the number of levels, or below"
            )
        return self

    @model_validator(mode="after")
    def _sampling_fits_run(self) -> Self:
        sampling = self.sampling
        if sampling.area is not None:
            raise ValueError(
                "sampling.area is an option of `ddpm sample --size`; a run samples at the size of its data"
            )
        for kind, (name, value) in sampling.given.items():
            if kind not in self.conditions:
                raise ValueError(f"{name} {value} has no effect, as the run is not conditioned on {kind}; leave it out")
        if sampling.guidance is not None and sampling.guidance.guide is not None:
            raise ValueError(
                "sampling.guidance.away_from is an earlier version of the run, but a new run has none; leave it out"
            )
        if sampling.classifier is not None:
            raise ValueError("sampling.classifier requires a classifier, but a new run has none; leave it out")
        return self

    @model_validator(mode="after")
    def _negative_condition_is_learned(self) -> Self:
        guidance, classes = self.sampling.guidance, self.data.classes
        if guidance is not None and guidance.negative is not None and guidance.negative not in classes:
            raise ValueError(
                f"sampling.guidance.away_from {guidance.negative!r} is not one of the {len(classes)} classes"
            )
        if guidance is not None and guidance.negative_prompt is not None and self.text is None:
            raise ValueError(
                f"sampling.guidance.negative_prompt {guidance.negative_prompt!r} has no effect, as the run is not "
                "trained on captions; leave it out"
            )
        return self
