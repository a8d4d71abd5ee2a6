"""``ddpm train-classifier``."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ddpm.system.errors import InputError
from ddpm.system.names import PrecisionName

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ddpm.training.job import Job


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
    """Train a classifier on a run's noised images. Re-run the same command to resume.

    It is written to RUN/classifier; guide samples with it by `ddpm sample RUN --label … --classifier 2`.

    Args:
        run: A run folder, trained with labels or without.
        data: A folder of images with a subfolder for each class, a .zip of one, or an .npz, .tar or .parquet files with
            labels; the run's data by default.
        for_: The time to train for: 90s, 20m, 1h30m; 10m by default. The speed is measured first, and the time
            converted to a number of images.
        images: The number of images to train on, counting repeats: 500k, 2M.
        width: Channels of the network's finest level; half the run's by default, at least 32, and at most
            128 if the run's is a transformer.
        batch: Images per optimiser step, over all processes; 64 by default.
        lr: Peak learning rate; 0.001 by default.
        seed: The random seed; 0 by default.
        precision: Precision of the network; the best that the device supports natively by default.
        device: cpu, to train without the GPU; the best available by default.
    """
    began = time.monotonic()
    from ddpm.cli.training import exits
    from ddpm.config.classifier import ClassifierConfig
    from ddpm.planning import classifier as plan
    from ddpm.planning.follow import follow, say
    from ddpm.planning.training import accelerator_of, claimed, refuse_others
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    if for_ is not None and images is not None:
        raise InputError("conflict", "--for cannot be combined with --images; drop one of them")
    folder = RunFolder.open(run)
    if folder.checkpoint is not None:
        raise InputError("invalid", f"{run} is a checkpoint; use the run folder: its classifier guides all checkpoints")
    flags = {"data": data, "for": for_, "images": images, "width": width, "batch": batch, "lr": lr, "seed": seed}
    asked = {flag: value for flag, value in (flags | {"precision": precision}).items() if value is not None}
    out, config_file = folder.classifier, RunFolder(folder.classifier).config_file
    if config_file.exists():
        config = ClassifierConfig.read(config_file)
        if "import" in config.request:
            raise InputError("exists", f"{out} was imported, and is not trained here; remove it to train another")
        refuse_others(out, asked, config.request, f"remove {out} to start over")
        accelerator = accelerator_of(device, config.training.precision)
        job = plan.reopen(config, run, accelerator)
        say(accelerator, f"resuming {out}")
    else:
        accelerator = accelerator_of(device, precision)
        config, job = plan.make(run, asked, accelerator, began=began, say=partial(say, accelerator))
        weights = sum(p.numel() for p in job.model.parameters())
        many = f"{config.data.images:,} images in {len(config.data.classes)} classes, {config.data.held_out} held out"
        say(accelerator, f"classifier    {config.network.describe()}, {weights / 1e6:.1f} M parameters; {many}")
        if accelerator.is_main_process:
            with claimed(RunFolder(out)):
                config.write(config_file)
        accelerator.wait_for_everyone()
    with exits():
        follow(job, accelerator)
    if accelerator.is_main_process:
        _measure(run, job, accelerator)
        say(accelerator, f"next: {config.follow_up(run)}")


def _measure(run: Path, job: "Job", accelerator: "Accelerator") -> None:
    """Print the classifier's accuracy on held-out images, by noise level."""
    from ddpm.engine.classifier import load
    from ddpm.evaluation.classifier import by_level
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.console import console

    folder = RunFolder(run)
    classifier = load(folder, folder.config(), accelerator.device)
    console.print(f"done: {job.folder}\nheld-out accuracy, {len(job.held_out)} images:", markup=False)
    for timestep, level, share in by_level(classifier, job.held_out, accelerator.device):
        noise = level.sigma / level.alpha if level.alpha else float("inf")
        console.print(
            f"  timestep {timestep:>5}, noise-to-signal ratio {noise:>8.3g}: {100 * share:5.1f} %", markup=False
        )
