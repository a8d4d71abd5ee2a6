"""The public face of a trained run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ddpm.config.run import RunConfig
from ddpm.engine.loading import load as load_run
from ddpm.engine.run import LoadedRun
from ddpm.engine.trajectory import Trajectory
from ddpm.images.photo import Given
from ddpm.records.provenance import Provenance
from ddpm.tasks import edit, generate, inpaint, interpolate, likelihood, outpaint, restore, upscale


@dataclass(frozen=True)
class Pipeline:
    """A trained run, ready to use. Holds no state: many threads may share one.

    Attributes:
        run: the engine with its weights, and what is known of them.
    """

    run: LoadedRun

    @property
    def config(self) -> RunConfig:
        """All settings of the run."""
        return self.run.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that images can be asked for; empty for an unconditional model."""
        return self.run.classes

    def sample(self, n: int = 1, **arguments: Any) -> list[Image.Image]:
        """New images; see :func:`ddpm.tasks.generate.sample`."""
        return generate.sample(self.run, n, **arguments)

    def trajectory(self, n: int = 1, **arguments: Any) -> Trajectory:
        """New images and how they come to be; see :func:`ddpm.tasks.generate.trajectory`."""
        return generate.trajectory(self.run, n, **arguments)

    def again(self, record: Provenance) -> Image.Image:
        """The image of a record; see :func:`ddpm.tasks.generate.again`."""
        return generate.again(self.run, record)

    def inpaint(
        self, images: Given | Sequence[Given], mask: Given | Sequence[Given], **arguments: Any
    ) -> Image.Image | list[Image.Image]:
        """Pictures with a part filled in; see :func:`ddpm.tasks.inpaint.inpaint`."""
        return inpaint.inpaint(self.run, images, mask, **arguments)

    def outpaint(self, images: Given | Sequence[Given], **arguments: Any) -> Image.Image | list[Image.Image]:
        """Pictures on a larger canvas; see :func:`ddpm.tasks.outpaint.outpaint`."""
        return outpaint.outpaint(self.run, images, **arguments)

    def edit(
        self, images: Given | Sequence[Given], strength: float, **arguments: Any
    ) -> Image.Image | list[Image.Image]:
        """Pictures changed a little or much; see :func:`ddpm.tasks.edit.edit`."""
        return edit.edit(self.run, images, strength, **arguments)

    def restore(
        self, images: Given | Sequence[Given], operator: str, **arguments: Any
    ) -> Image.Image | list[Image.Image]:
        """What damaged pictures may have been; see :func:`ddpm.tasks.restore.restore`."""
        return restore.restore(self.run, images, operator, **arguments)

    def interpolate(self, first: Given, last: Given, **arguments: Any) -> list[Image.Image]:
        """Pictures between two; see :func:`ddpm.tasks.interpolate.interpolate`."""
        return interpolate.interpolate(self.run, first, last, **arguments)

    def upscale(self, images: Given | Sequence[Given], **arguments: Any) -> Image.Image | list[Image.Image]:
        """Small pictures made larger; see :func:`ddpm.tasks.upscale.upscale`."""
        return upscale.upscale(self.run, images, **arguments)

    def bits_per_dim(self, images: Any, method: str = "bound", **arguments: Any) -> torch.Tensor:
        """Bits per dimension of images; see :func:`ddpm.tasks.likelihood.bits_per_dim`."""
        return likelihood.bits_per_dim(self.run, images, method, **arguments)


def load(path: str | Path, device: str | torch.device | None = None) -> Pipeline:
    """Load a run folder, or one checkpoint in it; see :func:`ddpm.engine.loading.load`."""
    return Pipeline(load_run(path, device))
