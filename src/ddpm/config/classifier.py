"""The configuration of a classifier of noised images."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.network import UNetSettings
from ddpm.config.plain_classifier import PlainClassifierSettings
from ddpm.config.training import TrainSettings
from ddpm.system.record import Record
from ddpm.system.tree import Short


class ClassifierConfig(Record):
    """A fully resolved classifier; its run determines which images are held out.

    Attributes:
        request: The user's request, verbatim.
        data: The images, in the run's size and mode, and their classes.
        diffusion: The run's forward process, which adds noise to them.
        network: The U-Net whose downsampling half is used; its output has one channel per class.
    """

    WRITER: ClassVar[str] = "ddpm train-classifier"
    request: dict[str, Any]
    data: DataConfig
    diffusion: DiffusionConfig
    network: Annotated[UNetSettings | PlainClassifierSettings, Field(discriminator="kind"), Short("kind")]
    training: TrainSettings

    def follow_up(self, run: object) -> str:
        """The command that samples with this classifier, from the run that it belongs to."""
        return f"ddpm sample {run} --label {self.data.classes[0]} --classifier 2"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        if len(data.classes) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, not {len(data.classes)}")
        if (net.in_channels, net.out_channels) != (len(data.mode), len(data.classes)):
            raise ValueError(
                f"network.in_channels and out_channels must be {len(data.mode)} for {data.mode} images and "
                f"{len(data.classes)} for their classes"
            )
        for name in ("cond_width", "token_width"):
            if getattr(net, name) is not None:
                raise ValueError(f"network.{name} must be null: a classifier is not conditioned")
        if self.training.label_dropout:
            raise ValueError("training.label_dropout must be 0: a classifier learns nothing from dropped labels")
        return self
