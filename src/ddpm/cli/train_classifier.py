"""``ddpm train-classifier``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ddpm.system.names import PrecisionName

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ddpm.training.loop import Job


def train_classifier(
    run: Path,
    *,
    data: str | None = None,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    images: str | None = None,
    width: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    precision: PrecisionName | None = None,
    device: Literal["cpu"] | None = None,
) -> None:
    """Train a classifier of a run's noised images. The same command again goes on where it was interrupted.

    It is kept in RUN/classifier, and `ddpm sample RUN --label … --classifier 2` is guided by it.

    Parameters
    ----------
    run
        A run folder, trained with labels or without.
    data
        Images in a folder for each class, a .zip or .npz of them; those of the run by default.
    for_
        Train for so long: 90s, 20m, 1h30m; 10m by default. The speed is measured first and turned into a number of
        images.
    images
        Train on so many images, counted with repeats: 500k, 2M.
    width
        Channels of the network's finest level; half of the run's by default, at least 32.
    batch
        Images an optimiser step, over all processes; 64 by default.
    lr
        Peak learning rate, 0.001 by default.
    seed
        Of everything random.
    precision
        Of the network; the best that the device computes natively by default.
    device
        cpu, even where there is a GPU.
    """
    began = time.monotonic()
    from ddpm.cli.training import exits
    from ddpm.config.classifier import ClassifierConfig
    from ddpm.planning import classifier as plan
    from ddpm.planning.follow import follow, say
    from ddpm.planning.session import accelerator_of, refuse_others
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory
    from ddpm.system.errors import InputError
    from ddpm.system.units import count, duration

    keep_freed_memory()
    if for_ is not None and images is not None:
        raise InputError("invalid", "--for and --images are two budgets; give one")
    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError("invalid", f"{run} is a checkpoint; give the run folder, whose checkpoints can all be guided")
    flags = {"data": data, "for": for_, "images": images, "width": width, "batch": batch, "lr": lr, "seed": seed}
    asked = {flag: value for flag, value in (flags | {"precision": precision}).items() if value is not None}
    out, config_file = folder.classifier, RunFolder(folder.classifier).config_file
    if config_file.exists():
        config = ClassifierConfig.read(config_file)
        refuse_others(out, asked, config.request, f"remove {out} to start again")
        accelerator = accelerator_of(device, config.training.precision)
        job = plan.reopen(config, run, accelerator)
        say(accelerator, f"going on with {out}")
    else:
        request = plan.ClassifierRequest(
            data=data,
            seconds=duration(for_) if for_ else None,
            images=count(images) if images else None,
            width=width,
            batch=plan.BATCH if batch is None else batch,
            rate=plan.RATE if lr is None else lr,
            seed=seed or 0,
        )
        accelerator = accelerator_of(device, precision)
        config, job = plan.make(
            run, request, accelerator, asked=asked, began=began, say=lambda line: say(accelerator, line)
        )
        weights = sum(p.numel() for p in job.model.parameters())
        many = f"{len(config.data.classes)} classes of {config.data.images:,} images, {config.data.held_out} held out"
        say(accelerator, f"classifier    {config.network.describe()}, {weights / 1e6:.1f} M weights; {many}")
        if accelerator.is_main_process:
            config.write(config_file)
        accelerator.wait_for_everyone()
    with exits():
        follow(job, accelerator)
    if accelerator.is_main_process:
        _measure(run, job, accelerator)
        say(accelerator, f"next: ddpm sample {run} --label {config.data.classes[0]} --classifier 2")


def _measure(run: Path, job: "Job", accelerator: "Accelerator") -> None:
    """Say how often the classifier is right about images that it was not trained on."""
    from ddpm.engine.classifier import load
    from ddpm.evaluation.classifier import by_level
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import console

    folder = RunFolder(run)
    classifier = load(folder, folder.config(), accelerator.device)
    console.print(f"done: {job.folder}; {len(job.held_out)} images held out are read right", markup=False)
    for timestep, level, share in by_level(classifier, job.held_out, accelerator.device):
        noise = level.sigma / level.alpha if level.alpha else float("inf")
        console.print(
            f"  at level {timestep:>5}, noise-to-signal ratio {noise:>8.3g}: {100 * share:5.1f} %", markup=False
        )
