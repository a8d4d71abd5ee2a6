"""The tree of a classifier of noised images."""

from typing import Any, Literal, Self

from pydantic import model_validator

from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.kept import Kept
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings


class ClassifierConfig(Kept):
    """One classifier, resolved to the last number; its run says which images are held out.

    Attributes:
        format: of this file.
        request: what the user asked for, word for word.
        data: images, in the form the run's have, and their classes.
        diffusion: the run's process, under which they are noised.
        network: of the U-Net whose way down it is; a channel of its output is a class.
    """

    format: Literal[2] = 2
    request: dict[str, Any]
    data: DataConfig
    diffusion: DiffusionConfig
    network: UNetSettings
    training: TrainSettings

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        data, net = self.data, self.network
        if len(data.classes) < 2:
            raise ValueError(f"a classifier needs at least 2 classes to tell apart, not {len(data.classes)}")
        if (net.in_channels, net.out_channels) != (len(data.mode), len(data.classes)):
            raise ValueError(
                f"network.in_channels and out_channels must be {len(data.mode)} for {data.mode} images and "
                f"{len(data.classes)} for their classes"
            )
        if net.cond_width is not None:
            raise ValueError("network.cond_width must be null: a classifier is told no class")
        if self.training.label_dropout:
            raise ValueError("training.label_dropout must be 0: a classifier learns nothing from hidden labels")
        return self
