"""From a run, and what a user asks for, to a classifier of its noised images, resolved to the last number."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ddpm import build
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core.seed import derive
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.order import split
from ddpm.images.geometry import Geometry
from ddpm.planning.budget import Budget, speed_of
from ddpm.planning.plan import PRECISIONS
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.progress import Say
from ddpm.training.loop import Job
from ddpm.training.measure import available_bytes, memory

DEFAULT_BUDGET = 600.0
"""Seconds, where none are given."""
BATCH, RATE = 64, 1e-3


@dataclass(frozen=True)
class ClassifierRequest:
    """What a user asks of a classifier; None where the plan may choose.

    Attributes:
        data: a path, or "digits"; the run's own if None.
        seconds, images: the budget; at most one of them.
        width: channels of the network's finest level.
        batch: images a step.
        rate: peak learning rate.
        seed: of everything random but what is held out, which is the run's.
    """

    data: str | None = None
    seconds: float | None = None
    images: int | None = None
    width: int | None = None
    batch: int = BATCH
    rate: float = RATE
    seed: int = 0


def labelled(run: Path, config: RunConfig, data: str | None) -> Dataset:
    """The images that a classifier of a run learns from, in the run's form: its own, or others.

    Raises:
        InputError: they have no classes, others than the run's, or are no longer those that the run was trained on.
    """
    own = config.data
    source = own.source if data is None else data
    images = prepare(open_source(source), Geometry(own.size, own.mode, own.fit), skip_bad=own.skip_bad)
    if len(images.classes) < 2:
        raise InputError(
            "missing",
            f"{source} has no classes to tell apart; give images in a folder for each class by --data, "
            "which may be others than those of the run",
        )
    if own.classes and images.classes != own.classes:
        raise InputError(
            "invalid",
            f"{source} has the classes {', '.join(images.classes)}, and {run} has {', '.join(own.classes)}; "
            "give images of the same classes by --data",
        )
    if data is None and images.fingerprint != own.fingerprint:
        raise InputError(
            "incompatible",
            f"the images of {source} changed since {run} was trained; bring them back, or name them by --data",
        )
    return images


def make(
    run: Path,
    request: ClassifierRequest,
    accelerator: Accelerator,
    *,
    asked: Mapping[str, Any],
    began: float,
    say: Say,
) -> tuple[ClassifierConfig, Job]:
    """Resolve everything that the request leaves open.

    Args:
        asked: the request in the user's words, kept in the config.
        began: ``time.monotonic()`` when the command started; a budget of time counts from there.
        say: takes a line on each decision.

    Raises:
        InputError: the request, or the data under it, cannot be trained.
    """
    own = RunFolder.open(run).config()
    if own.upscaling is not None:
        raise InputError(
            "incompatible", f"{run} makes small images large, which no classifier guides; give another run"
        )
    with accelerator.main_process_first():
        images = labelled(run, own, request.data)

    def resolved(amount: int, micro: int | None = None) -> ClassifierConfig:
        share = -(-request.batch // accelerator.num_processes)
        precision = PRECISIONS[accelerator.mixed_precision]
        return _config(own, request, precision, images, asked, amount, micro or share)

    trial = _job(resolved(request.batch), own, run, images)
    trial.model.to(accelerator.device)
    needs = memory(trial.model, trial.objective, trial.settings, images, accelerator)
    micro = needs.fitting(available_bytes(accelerator.device), trial.settings.micro_batch)
    amount = request.images
    if amount is None:
        if request.seconds is None:
            say(f"no --for or --images was given: training for {DEFAULT_BUDGET / 60:.0f}m")
        budget = Budget(request.seconds or DEFAULT_BUDGET, began)
        speed = speed_of(_job(resolved(request.batch, micro), own, run, images), accelerator)
        amount = budget.steps(budget.images(speed), request.batch) * request.batch
    config = resolved(amount, micro)
    return config, _job(config, own, run, images)


def reopen(config: ClassifierConfig, run: Path, accelerator: Accelerator) -> Job:
    """The job of a classifier that was started before.

    Raises:
        InputError: the data is no longer what it was started with.
    """
    own = RunFolder.open(run).config()
    with accelerator.main_process_first():
        images = labelled(run, own, config.request.get("data"))
    if images.fingerprint != config.data.fingerprint:
        raise InputError(
            "incompatible",
            f"the images of {config.data.source} changed since {RunFolder(run).classifier} was started; "
            "bring them back, or remove that folder to start again",
        )
    return _job(config, own, run, images)


def _config(
    own: RunConfig,
    request: ClassifierRequest,
    precision: str,
    images: Dataset,
    asked: Mapping[str, Any],
    amount: int,
    micro: int,
) -> ClassifierConfig:
    kept, held = split(len(images), own.training.seed)
    return ClassifierConfig.parse(
        {
            "request": dict(asked),
            "data": own.data.model_dump()
            | {"source": request.data or own.data.source, "fingerprint": images.fingerprint}
            | {"images": len(kept), "held_out": len(held), "classes": images.classes, "mean": (), "std": ()},
            "diffusion": own.diffusion.model_dump(),
            "network": own.network.encoder(request.width, len(own.data.mode), len(images.classes)),
            "training": {
                "images": amount,
                "batch": request.batch,
                "micro_batch": micro,
                "learning_rate": request.rate,
                "warmup": min(10_000, amount // 20),
                "weight_decay": 0.05,  # Dhariwal & Nichol 2021, app. I
                "label_dropout": 0.0,
                "precision": precision,
                "seed": request.seed,
                "flip": own.training.flip,
                "checkpoint_every": max(request.batch, amount // 20),
                "log_every": max(request.batch, amount // 200),
            },
        }
    )


def _job(config: ClassifierConfig, own: RunConfig, run: Path, images: Dataset) -> Job:
    # torch's initialisers take its own generator: 32 bits of a seed on the CPU, of which a run draws but once
    torch.manual_seed(derive(config.training.seed, "classifier's weights"))
    kept, held = (images.subset(part) for part in split(len(images), own.training.seed))
    model, objective = build.build_classifier(config), build.build_classification(config)
    return Job(model, objective, config.training, kept, held, RunFolder(run).classifier)
