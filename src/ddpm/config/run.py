"""The tree of one run, and the file it is kept in."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.conditions import kinds
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.network import NetworkSettings
from ddpm.config.objective import ObjectiveConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.scoring import ScoringSettings
from ddpm.config.training import TrainSettings
from ddpm.config.upscaling import UpscalingConfig
from ddpm.system.record import Record


def channels_of(codec: CodecConfig, mode: str, *, upscaling: bool, learned: bool) -> tuple[int, int]:
    """Channels that the network of a run is given, with those of the enlarged images, and that it answers with."""
    channels = codec.channels(len(mode))
    return channels * (2 if upscaling else 1), channels * (2 if learned else 1)


class RunConfig(Record):
    """One run, resolved to the last number.

    Attributes:
        recipe: where the numbers came from.
        request: what the user asked for when the run was started, word for word.
        scoring: of the run while it trains; None for none.
        upscaling: what small images are made large, where that is what the run learns.
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
    upscaling: UpscalingConfig | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The kinds of conditions that the run learns."""
        return kinds(self)

    @property
    def divisor(self) -> int:
        """What each side of an image must divide by."""
        return self.network.divisor * self.codec.factor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of x."""
        height, width = (n // self.codec.factor for n in self.data.size)
        return self.codec.channels(len(self.data.mode)), height, width

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        learned = self.diffusion.variance == "learned"
        seen, answered = channels_of(self.codec, data.mode, upscaling=self.upscaling is not None, learned=learned)
        if net.in_channels != seen:
            beside = "" if self.upscaling is None else " and the small ones, enlarged"
            raise ValueError(f"network.in_channels must be {seen} for {data.mode} images{beside}")
        if net.out_channels != answered:
            raise ValueError(
                f"network.out_channels must be {answered} for {data.mode} images and their variances"
                if learned
                else f"network.out_channels must be {answered} for {data.mode} images"
            )
        if learned and self.objective.loss.name == "simple":
            raise ValueError("nothing in the simple loss trains a learned variance: use --loss hybrid or vlb with it")
        if self.objective.loss.name == "hybrid" and not learned:
            raise ValueError(
                "the hybrid loss is the simple one and, for the variance alone, the bound: it needs --variance learned"
            )
        if self.diffusion.sigma_data is not None and not (
            self.diffusion.scales_input or self.objective.weighting.name == "edm"
        ):
            raise ValueError(
                "diffusion.sigma_data has no effect but with EDM's prediction, weighting or schedule, or ve"
            )
        if net.space != 2:
            raise ValueError(f"network.space must be 2 for images, not {net.space}")
        if bool(self.conditions) != (net.cond_width is not None):
            learned_too = "classes are learned" if data.classes else "small images are made large"
            raise ValueError(
                "network.cond_width must be null, as no classes are learned"
                if net.cond_width is not None
                else f"network.cond_width must be a number, as {learned_too}"
            )
        if self.upscaling is not None and any(n % self.upscaling.scale for n in data.size):
            raise ValueError(
                f"images of {data.size[0]} × {data.size[1]} do not divide by --scale {self.upscaling.scale}; "
                "give a --size that does"
            )
        if self.upscaling is not None and self.scoring is not None:
            raise ValueError("--during-training scores what is drawn from nothing; leave it out where images are given")
        if any(n % self.divisor for n in data.size):
            height, width = (max(1, round(n / self.divisor)) * self.divisor for n in data.size)
            raise ValueError(
                f"images of {data.size[0]} × {data.size[1]} do not divide by {self.divisor}, as the network "
                f"needs; the nearest size that does is --size {height}x{width}"
            )
        T, sampling = self.diffusion.T, self.sampling
        for name, settings in (("sampling", sampling if sampling.on_ticks else None), ("scoring", self.scoring)):
            if settings is not None and settings.steps > T:
                raise ValueError(f"{name}.steps is {settings.steps}; it must be at most {T}, the levels")
        if not isinstance(sampling.grid, str) and sampling.grid[0] > T:
            raise ValueError(f"sampling.grid is {sampling.visits}; it must begin at {T} at the most, the levels")
        if sampling.area is not None:
            raise ValueError("sampling.area is of `ddpm sample --size`; a run's own images are of the size of its data")
        guidance = sampling.guidance
        if guidance is not None and guidance.guide is not None:
            raise ValueError(
                "sampling.guidance.away_from is a checkpoint, which a run has none of before it is trained"
            )
        if sampling.classifier is not None:
            raise ValueError("sampling.classifier needs a classifier, which a run has none of before it is trained")
        if guidance is not None and guidance.negative is not None and guidance.negative not in data.classes:
            raise ValueError(
                f"sampling.guidance.away_from {guidance.negative!r} is none of the {len(data.classes)} classes"
            )
        return self
