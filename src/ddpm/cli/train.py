"""``ddpm train``."""

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from ddpm.planning.request import Request

MAY_CHANGE = {"workers", "tensorboard", "dry_run", "device"}
"""Flags that a resumed run may be given anew: they leave its weights alone."""

KEYS = {
    "flip": "training.flip",
    "batch": "training.batch",
    "micro_batch": "training.micro_batch",
    "lr": "training.learning_rate",
    "seed": "training.seed",
    "workers": "training.workers",
    "width": "network.width",
    "prediction": "diffusion.prediction",
    "schedule": "diffusion.schedule",
    "sigma_max": "diffusion.sigma_max",
    "variance": "diffusion.variance",
    "loss": "objective.loss",
    "weighting": "objective.weighting",
    "levels": "objective.levels",
}
"""Flags that are keys of the config."""


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
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
        L, RGB or RGBA; needed where the images have several.
    fit
        For images of another shape: crop, pad or stretch.
    skip_bad
        Go on without the images that cannot be read.
    labels
        Learn the classes, if there are any.
    flip
        Mirror half of the images left to right.
    batch
        Images an optimiser step, over all processes.
    micro_batch
        Images a forward pass; as many as fit the memory by default.
    lr
        Peak learning rate.
    width
        Channels of the network's finest level.
    prediction
        What the network estimates: eps, x0, v, flow or edm.
    schedule
        Noise schedule: linear, scaled-linear, cosine or sigmoid; in continuous time vp, sub-vp, ve, edm or flow.
    betas
        A file of the noise schedule's betas, in place of a named one: numbers in a JSON list, or separated by spaces,
        commas or lines; one a level, the cleanest first.
    sigma_max
        Of the schedules ve and edm: standard deviation of the most noise; 50 and 80 if not given.
    variance
        Of a reverse step: small, large (the two bounds), or learned.
    loss
        simple, vlb (the variational bound) or hybrid (simple, and the bound for a learned variance).
    weighting
        Of the levels in the simple loss: simple (none), constant, snr, truncated-snr, min-snr, p2 or edm.
    levels
        How a step's levels are drawn: uniform, stratified, log-normal, logit-normal or importance.
    precision
        bf16, fp16 or fp32; the best that the device computes natively by default.
    seed
        Of everything random.
    workers
        Threads that read images ahead; 0 reads between steps.
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
    mode: Literal["L", "RGB", "RGBA"] | None = None
    fit: Literal["crop", "pad", "stretch"] | None = None
    skip_bad: bool | None = None
    labels: bool | None = None
    flip: bool | None = None
    batch: int | None = None
    micro_batch: int | None = None
    lr: float | None = None
    width: int | None = None
    prediction: Literal["eps", "x0", "v", "flow", "edm"] | None = None
    schedule: Literal["linear", "scaled-linear", "cosine", "sigmoid", "vp", "sub-vp", "ve", "edm", "flow"] | None = None
    betas: str | None = None
    sigma_max: float | None = None
    variance: Literal["small", "large", "learned"] | None = None
    loss: Literal["simple", "vlb", "hybrid"] | None = None
    weighting: Literal["simple", "constant", "snr", "truncated-snr", "min-snr", "p2", "edm"] | None = None
    levels: Literal["uniform", "stratified", "log-normal", "logit-normal", "importance"] | None = None
    precision: Literal["bf16", "fp16", "fp32"] | None = None
    seed: int | None = None
    workers: int | None = None
    during_training: bool | None = None
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None
    device: Literal["cpu"] | None = None
    tensorboard: bool = False
    dry_run: bool = False

    def asked(self) -> dict[str, Any]:
        """What was given, by flag, for the record."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k.rstrip("_"): v for k, v in given.items() if v is not None and k not in MAY_CHANGE}

    def request(self, data: str) -> "Request":
        """What is asked of the plan.

        Raises:
            InputError: a value that cannot be read, or two budgets.
        """
        from ddpm.planning.request import Request
        from ddpm.system.errors import InputError
        from ddpm.system.units import count, duration, size

        if self.for_ is not None and self.images is not None:
            raise InputError("--for and --images are two budgets; give one")
        if self.recipe != "super-resolution":
            for flag in ("scale", "low"):
                if getattr(self, flag) is not None:
                    raise InputError(f"--{flag} is of super-resolution; give --recipe super-resolution, too")
        if self.schedule is not None and self.betas is not None:
            raise InputError("--schedule and --betas are two noise schedules; give one")
        changes: dict[str, Any] = {KEYS[f]: getattr(self, f) for f in KEYS if getattr(self, f) is not None}
        if self.betas is not None:
            betas = _numbers("--betas", self.betas)
            changes |= {"diffusion.schedule": "custom", "diffusion.betas": betas, "diffusion.T": len(betas)}
        return Request(
            data,
            seconds=duration(self.for_) if self.for_ else None,
            images=count(self.images) if self.images else None,
            recipe=self.recipe or "auto",
            size=size(self.size) if self.size else None,
            mode=self.mode,
            fit=self.fit or "crop",
            skip_bad=bool(self.skip_bad),
            labels=self.labels is not False,
            scoring=bool(self.during_training),
            scale=self.scale,
            low=self.low,
            changes=changes | dict(_assignment(text) for text in self.set_ or []),
        )


def _numbers(flag: str, path: str) -> list[float]:
    """The numbers in a file, be it a JSON list or what NumPy's savetxt writes."""
    from ddpm.system.errors import InputError

    try:
        text = Path(path).read_text(encoding="utf-8").strip().removeprefix("[").removesuffix("]")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{flag} {path} cannot be read as a file of numbers ({e})") from e
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as e:
        raise InputError(f"{flag} {path} holds something that is no number ({e})") from e


def _assignment(text: str) -> tuple[str, Any]:
    import json

    from ddpm.system.errors import InputError

    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text!r} is no assignment; write it as --set training.ema=0.999")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def train(data: str, *, out: Path | None = None, flags: Flags = Flags()) -> None:
    """Train on a folder of images. The same command again goes on where it was interrupted.

    Parameters
    ----------
    data
        A folder (subfolders are classes), a .zip of one, an .npz, or the built-in "digits".
    out
        The run folder; runs/NAME by default.
    """
    began = time.monotonic()
    from ddpm.cli.training import Session
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    name = Path(data).name.removesuffix(".zip").removesuffix(".npz")
    session = Session(data, out or Path("runs") / (name or "data"), flags, began)
    session.run()
