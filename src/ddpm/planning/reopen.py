"""The job of a run whose settings are all resolved."""

from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from ddpm import build
from ddpm.codec import Codec
from ddpm.config.data import DataConfig
from ddpm.config.run import RunConfig
from ddpm.core.seed import derive
from ddpm.data.dataset import Dataset
from ddpm.data.order import split
from ddpm.data.pairs import LOW
from ddpm.engine import Diffusion
from ddpm.engine.preview import preview, quick
from ddpm.planning.latents import encoded
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing, silent
from ddpm.training.job import Job


def reopen(
    config: RunConfig,
    out: Path,
    dataset: Dataset,
    accelerator: Accelerator,
    codec: Codec | None = None,
    progress: Progress = silent,
    text: Path | None = None,
) -> Job:
    """The job of an existing run, to resume it.

    Args:
        dataset: all its images, which are encoded unless the cache has their latents.
        codec: the run's; None for one without weights.
        progress: called with (images encoded, total).
        text: the folder of its frozen text encoder; by default the one in the run folder.

    Raises:
        InputError: the data changed since the run was started.
    """
    refuse_changed_images(config.data, dataset, out)
    low = None if config.upscaling is None else config.upscaling.low_fingerprint
    if low != (None if LOW not in dataset.partners else dataset.partners[LOW].fingerprint):
        raise InputError(
            "incompatible",
            f"the small images of {out} changed since it was started; restore them, or choose another --out",
        )
    if not config.data.classes:
        dataset = replace(dataset, labels=None, classes=())
    # torch's initialisers use its global generator, which keeps 32 bits of a seed on the CPU: enough for one draw
    dataset = replace(dataset, derived=build.build_derived(config))
    with accelerator.main_process_first():
        report = doing(progress, "encoding captions")
        captions = build.build_captions(
            config, accelerator.device, dataset.captions or (), report, text or RunFolder(out).text
        )
    dataset = replace(dataset, encode=captions)
    codec = codec or build.build_codec(config)
    dataset = encoded(dataset, codec, config, accelerator, progress)
    torch.manual_seed(derive(config.training.seed, "weights"))
    model = build.build_model(config).to(accelerator.device)
    kept, held = (dataset.subset(part) for part in split(len(dataset), config.training.seed, dataset.validation))
    engine = Diffusion.of(config, model, accelerator.device, codec)
    how = config.sampling
    if config.distillation is None:
        how = quick(config.diffusion.T).model_copy(update={"clip": how.clip})
    shown = preview(engine, config.training.seed, kept, held, how)
    return Job(model, build.build_objective(config, codec), config.training, kept, held, out, shown)


def refuse_changed_images(data: DataConfig, dataset: Dataset, out: Path) -> None:
    """Refuse to resume a run whose images changed.

    Raises:
        InputError: they did.
    """
    if dataset.fingerprint != data.fingerprint:
        raise InputError(
            "incompatible",
            f"the images of {data.source} changed since {out} was started; restore them, or choose another --out",
        )
