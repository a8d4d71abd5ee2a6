"""Turn images and a user's request into an autoencoder with every setting resolved."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator

from ddpm import build
from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.autoencoding import LPIPSConfig
from ddpm.config.options import options
from ddpm.core.seed import derive
from ddpm.data.dataset import Dataset
from ddpm.data.order import split
from ddpm.engine.reconstruction import MEASURED, HeldOutPSNR, preview
from ddpm.metrics.features.lpips import LPIPS
from ddpm.planning.assignments import assignments, changed, whole_number
from ddpm.planning.budget import MEASURING
from ddpm.planning.defaults import PRECISIONS, intervals, per_process
from ddpm.planning.draft import data_section, plan_of, smaller_micro_batch
from ddpm.planning.recipes.autoencoder import autoencoder
from ddpm.planning.recipes.recipe import Tree
from ddpm.planning.reopen import refuse_changed_images
from ddpm.planning.request import Request
from ddpm.system.errors import InputError
from ddpm.system.progress import Say
from ddpm.system.threads import threads
from ddpm.training.job import Job
from ddpm.training.measure import Memory, memory
from ddpm.training.watch import Watch

OWN = ("factor", "latent_channels", "adversarial", "lpips")
"""Flags of ``ddpm train`` that only an autoencoder has."""
SHARED = ("recipe", "for", "images", "size", "mode", "fit", "skip_bad", "split", "max_pixels", "precision", "set")
KEYS = {name: ".".join(option.paths[0]) for name, option in options(AutoencoderConfig).items()}
"""Flags that are keys of the config."""


@dataclass(frozen=True)
class AutoencoderPlan:
    """A resolved autoencoder and its cost; see :class:`ddpm.planning.plan.Plan`."""

    config: AutoencoderConfig
    job: Job
    speed: float | None
    memory: Memory


@dataclass(frozen=True)
class AutoencoderRequest:
    """A user's request for an autoencoder.

    Attributes:
        images: the request for the images and the budget.
        factor: the requested factor, or None.
        adversarial: whether to train against a discriminator in the second half.
        lpips: the weights of LPIPS for the loss; None for the embedded network.
        changes: dotted keys of the config and their values.
    """

    images: Request
    factor: int | None
    adversarial: bool
    lpips: LPIPSConfig | None
    changes: Mapping[str, Any]

    @classmethod
    def of(cls, data: str, given: Mapping[str, Any]) -> Self:
        """The request of the given flags of ``ddpm train``, by name.

        Raises:
            InputError: a flag does not apply, or its value is invalid, or the weights of LPIPS cannot be read.
        """
        for flag in given:
            if flag not in (*SHARED, *KEYS, *OWN):
                name = flag.replace("_", "-")
                raise InputError("conflict", f"--{name} has no effect with --recipe autoencoder; drop it")
        factor = given.get("factor")
        if factor not in (None, 2, 4, 8, 16):
            raise InputError("invalid", f"--factor {factor} is not supported; use 2, 4, 8 or 16")
        changes = {key: given[flag] for flag, key in KEYS.items() if flag in given}
        changes = assignments(given.get("set", ()), changes)
        plain = {flag: value for flag, value in given.items() if flag in SHARED and flag not in ("recipe", "set")}
        request, path = Request.of(data, plain), given.get("lpips")
        lpips = None if path is None else LPIPSConfig(source=path, weights=LPIPS.load(path, torch.device("cpu")).hash)
        return cls(request, factor, bool(given.get("adversarial")), lpips, changes)


def make(
    request: AutoencoderRequest,
    out: Path,
    dataset: Dataset,
    accelerator: Accelerator,
    *,
    asked: Mapping[str, Any],
    began: float,
    say: Say,
) -> AutoencoderPlan:
    """Resolve every setting that the request leaves open; the arguments are those of :func:`ddpm.planning.plan.make`.

    Raises:
        InputError: the request or its data cannot be trained.
    """
    threads().ease()
    draft = _AutoencoderDraft(request, out, dataset, accelerator, asked, say)
    rungs = autoencoder(dataset.shape[:2], request.factor)
    return plan_of(draft, rungs, request.images.images, request.images.seconds, began)


def reopen(config: AutoencoderConfig, out: Path, dataset: Dataset, accelerator: Accelerator) -> Job:
    """The job of an autoencoder, to train or resume it.

    Raises:
        InputError: the data changed since it was started.
    """
    refuse_changed_images(config.data, dataset, out)
    s, adversarial = config.training, config.objective.adversarial
    # torch's initialisers use its global generator, which keeps 32 bits of a seed on the CPU: enough for one draw
    torch.manual_seed(derive(s.seed, "weights"))
    model = build.build_autoencoder_model(config).to(accelerator.device)
    dataset = replace(dataset, labels=None, classes=())
    kept, held = (dataset.subset(part) for part in split(len(dataset), s.seed, dataset.validation))
    psnr = HeldOutPSNR.of(held, s.images)
    watch = Watch(psnr, 2 * s.checkpoint_every)
    if adversarial is not None:
        against = round((adversarial.start + adversarial.alone) * s.images)
        watch = Watch(psnr, s.checkpoint_every, adversarial.tolerance, against)
    objective = build.build_autoencoding(config, accelerator.device)
    return Job(model, objective, s, kept, held, out, preview(kept, held), watch=watch)


@dataclass(frozen=True)
class _AutoencoderDraft:
    """An autoencoder with known data whose settings are being resolved."""

    request: AutoencoderRequest
    out: Path
    dataset: Dataset
    accelerator: Accelerator
    asked: Mapping[str, Any]
    say: Say
    few: str = "clear reconstructions"

    def config(self, tree: Tree, images: int) -> AutoencoderConfig:
        """The complete config from a recipe's tree, the data and the user's changes."""
        changes, data = self.request.changes, self.dataset
        seed = whole_number("training.seed", changes.get("training.seed", 0))
        batch = whole_number("training.batch", changes.get("training.batch", tree["training"]["batch"]))
        width = whole_number("network.width", changes.get("network.width", tree["network"]["width"]))
        training = {
            "images": images,
            "micro_batch": per_process(batch, self.accelerator.num_processes),
            "warmup": images // 20,
            "averages": 0,
            "label_dropout": 0.0,
            "precision": PRECISIONS[self.accelerator.mixed_precision],
            **intervals(batch, images),
        }
        objective: Tree = {"adversarial": {}} if self.request.adversarial else {}
        if self.request.lpips is not None:
            objective["lpips"] = self.request.lpips.model_dump()
        whole: Tree = {
            "request": dict(self.asked),
            "data": data_section(self.request.images, data, seed),
            "network": {"image_channels": data.shape[2], "norm_groups": math.gcd(32, width), **tree["network"]},
            "objective": objective,
            "training": training | tree["training"],
        }
        return AutoencoderConfig.parse(changed(whole, changes, AutoencoderConfig))

    def plan(self, tree: Tree, images: int, speed: float | None) -> AutoencoderPlan:
        """The finished plan, with the micro-batch lowered to fit in memory."""
        config = self.config(tree, images)
        job = reopen(config, self.out, self.dataset, self.accelerator)
        needs = memory(job.model, job.objective, job.settings, job.data, self.accelerator)
        if "training.micro_batch" not in self.request.changes:
            asked = config.training.micro_batch
            micro = smaller_micro_batch(needs, asked, self.accelerator.device, self.say)
            if micro is not None:
                config = self.config({**tree, "training": {**tree["training"], "micro_batch": micro}}, images)
                job = reopen(config, self.out, self.dataset, self.accelerator)
        return AutoencoderPlan(config, job, speed, needs)

    def overhead(self, tree: Tree, images: int) -> Mapping[str, float]:
        """The cost of measuring the autoencoder at its end, in images trained in the same time.

        A training step costs about as much as four encodings.
        """
        kept, held = split(len(self.dataset), 0, self.dataset.validation)
        measured = min(len(kept), MEASURED) / 4 + min(len(held), MEASURED)
        return {"measuring the autoencoder": min(MEASURING * images, measured)}
