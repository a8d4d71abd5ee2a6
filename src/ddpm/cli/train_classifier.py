"""``ddpm train-classifier``."""

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ddpm.system.names import PrecisionName


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
    from ddpm.evaluation.classifier import by_level
    from ddpm.planning.classifier_session import ClassifierSession
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    flags: dict[str, object] = {"data": data, "for": for_, "images": images, "width": width, "batch": batch, "lr": lr}
    flags |= {"seed": seed, "precision": precision}
    given = {flag: value for flag, value in flags.items() if value is not None}
    with exits():
        ClassifierSession(run, given, by_level, device, began).run()
