"""``ddpm train``."""

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ddpm.cli.flags import flags
from ddpm.config.run import RunConfig
from ddpm.planning.request import KEYS
from ddpm.system.names import Fit, Mode, PrecisionName

OF_COMMAND = ("device", "tensorboard", "dry_run")
"""Flags that are not asked of the run, but of this command."""


@dataclass(frozen=True)
class TrainFlags:
    """What can be asked of a run.

    Parameters
    ----------
    for_
        Train for so long: 90s, 20m, 1h30m. The speed is measured first and turned into a number of images.
    images
        Train on so many images, counted with repeats: 500k, 2M.
    recipe
        auto: the largest network that the budget can train. ho2020, nichol2021: the CIFAR-10 models of the DDPM paper
        and of Improved DDPM. super-resolution: a model that makes small images large, for `ddpm upscale`.
    scale
        Of super-resolution: pixels a side for one of the small image; 4 if not given.
    low
        Of super-resolution: small images, partners by name; made of the others by averaging if not given.
    size
        Side of the images, or height x width: 64, 48x64.
    mode
        Of the images; needed where they have several.
    fit
        For images of another shape.
    skip_bad
        Go on without the images that cannot be read.
    labels
        Learn the classes, if there are any.
    precision
        Of the network; the best that the device computes natively by default.
    during_training
        Score the run on few samples while it trains, and keep the best checkpoint.
    set_
        Any key of the config, as in --set training.ema=0.999. May be repeated.
    device
        cpu, even where there is a GPU.
    tensorboard
        Also write TensorBoard's files.
    dry_run
        Plan, measure one step, say what it takes, and stop.
    """

    for_: Annotated[str | None, Parameter(name="--for")] = None
    images: str | None = None
    recipe: str | None = None
    scale: int | None = None
    low: str | None = None
    size: str | None = None
    mode: Mode | None = None
    fit: Fit | None = None
    skip_bad: bool | None = None
    labels: bool | None = None
    betas: str | None = None
    precision: PrecisionName | None = None
    during_training: bool | None = None
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None
    device: Literal["cpu"] | None = None
    tensorboard: bool = False
    dry_run: bool = False

    def given(self) -> dict[str, Any]:
        """What was asked of the run, by flag."""
        asked = {f.name.rstrip("_"): getattr(self, f.name) for f in fields(self)}
        return {flag: value for flag, value in asked.items() if value is not None and flag not in OF_COMMAND}


if TYPE_CHECKING:

    class Flags(TrainFlags):
        """What can be asked of a run."""

        workers: int | None

else:
    Flags = flags("Flags", TrainFlags, RunConfig, KEYS)


UNCHANGED = Flags()
"""All as the recipe has it."""


def train(data: str, *, out: Path | None = None, flags: Flags = UNCHANGED) -> None:
    """Train on a folder of images. The same command again goes on where it was interrupted.

    Parameters
    ----------
    data
        A folder (subfolders are classes), a .zip of one, an .npz, or the built-in "digits".
    out
        The run folder; runs/NAME by default.
    """
    began = time.monotonic()
    from ddpm.cli.training import exits
    from ddpm.evaluation.during import few_samples
    from ddpm.planning.session import Session
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    name = Path(data).name.removesuffix(".zip").removesuffix(".npz")
    session = Session(
        data,
        out or Path("runs") / (name or "data"),
        flags.given(),
        few_samples,
        device=flags.device,
        tensorboard=flags.tensorboard,
        dry_run=flags.dry_run,
        began=began,
    )
    with exits():
        session.run()
