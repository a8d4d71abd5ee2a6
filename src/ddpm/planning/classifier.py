"""Turn a run and a user's request into a classifier of its noised images, with every setting resolved."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ddpm import build
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.core.seed import derive
from ddpm.data.cache import prepare_as
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source, reopen_source
from ddpm.data.order import split
from ddpm.engine.classifier import refuse_unguided
from ddpm.planning.budget import images_within
from ddpm.planning.defaults import PRECISIONS, SHORT, intervals, per_process
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.names import listed
from ddpm.system.progress import Say
from ddpm.system.units import count, duration
from ddpm.training.job import Job
from ddpm.training.measure import available_bytes, memory

BATCH, RATE = 64, 1e-3
"""Images per step, and the peak learning rate, if not given."""


def labelled(run: Path, config: RunConfig, data: str | None) -> Dataset:
    """The training images of a run's classifier, in the run's size and mode: its own, or others.

    Raises:
        InputError: they have no classes or other classes than the run's, or the run's images changed.
    """
    own = config.data
    if not (data or own.source):
        raise InputError(
            "missing", f"{run} does not know the images that it was trained on; add --data with a folder of images"
        )
    source = own.source if data is None else data
    opened = reopen_source(own) if data is None else open_source(data).with_classes(own.classes)
    images = prepare_as(opened, own)
    if len(images.classes) < 2:
        raise InputError(
            "invalid",
            f"{source} has {len(images.classes)} classes, and a classifier needs at least 2; use --data with a folder "
            "that has a subfolder for each class",
        )
    if own.classes and images.classes != own.classes:
        raise InputError(
            "incompatible",
            f"{source} has the classes {listed(images.classes)}, but {run} has {listed(own.classes)}; "
            "use --data with images of the same classes",
        )
    if data is None and images.fingerprint != own.fingerprint:
        raise InputError(
            "incompatible",
            f"the images of {source} changed since {run} was trained; restore them, or accept them with "
            f"--data {source}",
        )
    return images


def make(
    run: Path, asked: Mapping[str, Any], accelerator: Accelerator, *, began: float, say: Say
) -> tuple[ClassifierConfig, Job]:
    """Resolve every setting that the request leaves open.

    Args:
        asked: the given flags of ``ddpm train-classifier``, by name, which are kept in the config.
        began: ``time.monotonic()`` when the command started, which is when a time budget starts.
        say: called with a line about each decision.

    Raises:
        InputError: the request or its data cannot be trained.
    """
    seconds = duration(asked["for"]) if asked.get("for") else None
    amount = count(asked["images"]) if asked.get("images") else None
    batch = asked.get("batch", BATCH)
    own = RunFolder.open(run).config()
    refuse_unguided(run, own)
    with accelerator.main_process_first():
        images = labelled(run, own, asked.get("data"))

    resolved = partial(_config, own, asked, accelerator, images)
    trial = _job(resolved(batch), own, run, images)
    trial.model.to(accelerator.device)
    needs = memory(trial.model, trial.objective, trial.settings, images, accelerator)
    micro = needs.fitting(available_bytes(accelerator.device), trial.settings.micro_batch)
    if amount is None:
        if seconds is None:
            seconds = duration(SHORT)
            say(f"no --for or --images given: training for {SHORT}")
        amount, _ = images_within(_job(resolved(batch, micro), own, run, images), accelerator, seconds, began, say)
    config = resolved(amount, micro)
    return config, _job(config, own, run, images)


def reopen(config: ClassifierConfig, run: Path, accelerator: Accelerator) -> Job:
    """The job of an existing classifier, to resume it.

    Raises:
        InputError: the data changed since it was started.
    """
    own = RunFolder.open(run).config()
    with accelerator.main_process_first():
        images = labelled(run, own, config.request.get("data"))
    if images.fingerprint != config.data.fingerprint:
        raise InputError(
            "incompatible",
            f"the images of {config.data.source} changed since {RunFolder(run).classifier} was started; "
            "restore them, or remove that folder to start over",
        )
    return _job(config, own, run, images)


def _config(
    own: RunConfig,
    asked: Mapping[str, Any],
    accelerator: Accelerator,
    images: Dataset,
    amount: int,
    micro: int | None = None,
) -> ClassifierConfig:
    kept, held = split(len(images), own.training.seed, images.validation)
    batch = asked.get("batch", BATCH)
    return ClassifierConfig.parse(
        {
            "request": dict(asked),
            "data": own.data.model_dump()
            | {"source": asked.get("data") or own.data.source, "fingerprint": images.fingerprint}
            | {"images": len(kept), "held_out": len(held), "classes": images.classes, "mean": (), "std": ()}
            | {"streamed": images.streamed},
            "diffusion": own.diffusion.model_dump(),
            "network": own.network.encoder(asked.get("width"), len(own.data.mode), len(images.classes)),
            "training": {
                "images": amount,
                "batch": batch,
                "micro_batch": micro or per_process(batch, accelerator.num_processes),
                "learning_rate": asked.get("lr", RATE),
                "warmup": min(10_000, amount // 20),
                "weight_decay": 0.05,  # Dhariwal & Nichol 2021, app. I
                "averages": 0,
                "label_dropout": 0.0,
                "precision": PRECISIONS[accelerator.mixed_precision],
                "seed": asked.get("seed", 0),
                "flip": own.training.flip,
                **intervals(batch, amount),
            },
        }
    )


def _job(config: ClassifierConfig, own: RunConfig, run: Path, images: Dataset) -> Job:
    # torch's initialisers use its global generator, which keeps 32 bits of a seed on the CPU: enough for one draw
    torch.manual_seed(derive(config.training.seed, "classifier's weights"))
    kept, held = (images.subset(part) for part in split(len(images), own.training.seed, images.validation))
    model, objective = build.build_classifier(config), build.build_classification(config)
    return Job(model, objective, config.training, kept, held, RunFolder(run).classifier)
