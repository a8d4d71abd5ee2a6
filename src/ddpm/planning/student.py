"""Turn a run and a user's request into a student with few steps, with every setting resolved."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ddpm import build
from ddpm.config.network import conditioned
from ddpm.config.run import RunConfig
from ddpm.config.scoring import ScoringSettings, planned
from ddpm.data.cache import prepare_as
from ddpm.data.dataset import Dataset
from ddpm.data.open import reopen_source
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.teacher import Teacher
from ddpm.metrics.features.extract import extract_once
from ddpm.planning import plan
from ddpm.planning.budget import images_within
from ddpm.planning.defaults import PRECISIONS, SHORT, intervals, per_process
from ddpm.planning.follow import say
from ddpm.planning.progressive import Halving
from ddpm.planning.reopen import reopen
from ddpm.planning.request import refuse_two_budgets
from ddpm.planning.teaching import grids_of, halved, power, taught
from ddpm.records.codec import StoredCodec
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.names import OptimizerName
from ddpm.system.ranges import span, whole_numbers
from ddpm.system.units import count, duration
from ddpm.training.checkpoint import load_into
from ddpm.training.job import Job
from ddpm.training.measure import available_bytes, memory

STEPS, FEW = 4, "1,2"
"""The default numbers of steps of a student, and of a consistency student."""
BATCH, EMA = 32, 0.999
OPTIMIZER: OptimizerName = "muon"
RATES: dict[OptimizerName, float] = {"adamw": 1.5e-3, "muon": 3e-3}
"""The peak learning rate of each optimiser by default."""


def make(
    teacher: LoadedRun,
    out: Path,
    asked: Mapping[str, Any],
    accelerator: Accelerator,
    *,
    began: float,
    stage: Halving | None = None,
) -> plan.Plan:
    """Resolve every setting that the flags leave open.

    Args:
        asked: the given flags, which are kept in the config.
        began: ``time.monotonic()`` when the command started, which is when a time budget starts.
        stage: the stage of progressive distillation, which takes its share of the budget.

    Raises:
        InputError: the run cannot be distilled so.
    """
    refuse_two_budgets(asked)
    draft, share = draft_of(teacher, asked, accelerator, stage), 1.0 if stage is None else stage.share
    images = images_of(teacher, accelerator)
    batch = draft.training.batch
    if draft.scoring is not None:  # first, because this takes some of the training time
        extract_once(build.build_features("embedded", None, images.shape[:2], accelerator.device), images)
    trial = job_of(draft, out, teacher, images, accelerator)
    needs = memory(trial.model, trial.objective, trial.settings, trial.data, accelerator)
    needs = needs._replace(fixed=needs.fixed + 4 * sum(p.numel() for p in trial.model.parameters()))  # the teacher
    micro = needs.fitting(available_bytes(accelerator.device), draft.training.micro_batch)
    amount, speed = max(1, int(share * count(asked["images"]))) if "images" in asked else None, None
    if amount is None:
        seconds = duration(asked.get("for", SHORT))
        if "for" not in asked and (stage is None or stage.follows is None):
            say(accelerator, f"no --for or --images given: training for {SHORT}")
        trial = replace(trial, settings=replace(trial.settings, micro_batch=micro))
        overhead = partial(_overhead, draft)
        amount, speed = images_within(trial, accelerator, seconds, began, partial(say, accelerator), overhead, share)
    sized = replace(
        draft.training,
        images=amount,
        micro_batch=micro,
        warmup=amount // 20,
        previews=max(1, min(5, amount // 2_000)),
        **intervals(batch, amount),
    )
    scoring = _scoring(draft, amount)
    config = draft.model_copy(update={"training": sized, "scoring": scoring})
    folder = RunFolder.open(teacher.source)
    stored = None if config.codec.in_pixels else StoredCodec.read(folder.codec)
    text = folder.text if folder.text.is_dir() else None
    return plan.Plan(config, job_of(config, out, teacher, images, accelerator), speed, needs, stored, text)


def _scoring(draft: RunConfig, images: int) -> ScoringSettings | None:
    """When a student of this many images is scored; None for never."""
    return None if draft.scoring is None else planned(draft.scoring, images, draft.training.batch, {"steps"})


def _overhead(draft: RunConfig, images: int) -> dict[str, float]:
    """The cost of the scores of a student of this many images, in images trained in the same time."""
    scoring = _scoring(draft, images)
    return {} if scoring is None else {"scoring": scoring.overhead(images, draft.training.batch)}


def draft_of(
    teacher: LoadedRun, asked: Mapping[str, Any], accelerator: Accelerator, stage: Halving | None = None
) -> RunConfig:
    """The config of a student, except for its amount of training.

    Raises:
        InputError: the run cannot be distilled so.
    """
    own, batch, optimizer = teacher.config, asked.get("batch", BATCH), asked.get("optimizer", OPTIMIZER)
    before = None if stage is None or stage.follows is None else own.distillation
    if own.distillation is not None and before is None:
        raise InputError(
            "incompatible", f"{teacher.source} is itself a {own.student}; distil {own.distillation.teacher} instead"
        )
    if own.inpainting:
        raise InputError("incompatible", f"{teacher.source} is conditioned on masks, and cannot be distilled")
    if own.upscaling is not None:
        raise InputError("incompatible", f"{teacher.source} is a super-resolution run, which cannot be distilled")
    method = asked.get("method", "trajectory")
    # noise does not determine an image at the noisiest levels
    if method != "trajectory" and own.diffusion.prediction == "eps":
        raise InputError(
            "incompatible",
            f"--method {method} cannot distil {teacher.source}, which predicts eps; drop it, or train with "
            "--prediction v",
        )
    if "guidance" in asked and not teacher.learned:
        raise InputError("conflict", f"{teacher.source} was trained without labels and captions; drop --guidance")
    if own.sampling.guidance is not None and own.sampling.guidance.label_scale is not None:
        raise InputError(
            "incompatible",
            f"{teacher.source} guides labels and captions by scales of their own, which no student can learn; distil a "
            "run without guidance_label",
        )
    if "guidance" in asked and not own.guides:
        raise InputError(
            "conflict",
            f"{teacher.source} was never trained without labels or captions to guide away from; drop --guidance",
        )
    if stage is None:
        grids = grids_of(teacher, numbers_of(asked))
        how = taught(teacher, grids, asked)
    else:
        how = own.sampling if stage.follows else halved(teacher, stage.steps, asked)
        grids = (power(teacher, stage.steps),)
    tree = own.model_dump()
    # dropout would blur a target that has no noise
    network = {name: 0.0 if name == "dropout" else value for name, value in tree["network"].items()}
    several, scales = grids if len(grids) > 1 else (), scales_of(asked)
    numbered = method == "trajectory" and bool(several)  # a consistency model need not know its number of steps
    if (numbered or scales) and network["cond_width"] is None:
        network = conditioned({name: value for name, value in network.items() if name != "cond_width"})
    solver = "consistency" if method == "consistency" else "ddim"
    sampled: dict[str, Any] = {"solver": solver, "grid": grids[-1], "clip": "none"}
    if scales is not None:
        low, high = scales
        sampled["guidance"] = min(max(settings(teacher, {}).guidance_scale, low), high)
    return RunConfig.parse(
        tree
        | {
            "recipe": "distillation",
            "request": dict(asked),
            "network": network,
            "training": {
                "images": batch,
                "batch": batch,
                "micro_batch": per_process(batch, accelerator.num_processes),
                "optimizer": optimizer,
                "learning_rate": asked.get("lr", RATES[optimizer]),
                "ema": EMA,
                "label_dropout": own.training.label_dropout,
                "precision": PRECISIONS[accelerator.mixed_precision],
                "seed": own.training.seed,  # which also determines the held-out images
            },
            "sampling": sampled,
            "scoring": {"every": batch, "steps": len(grids[-1])} if asked.get("during_training") else None,
            "guidance_search": None,
            "distillation": {
                "teacher": str(teacher.source) if before is None else before.teacher,
                "method": method,
                "follows": None if before is None else str(teacher.source),
                "weights": teacher.weights,
                "sampling": how.model_dump(),
                "learned": None if before is None else before.sampling.guidance or before.learned,
                "grids": several if numbered else (),
                "visits": () if numbered else several,
                "guidance": scales,
                "tuning": asked.get("tuning", 0.0),
                "seed": asked.get("seed", 0),
            },
        }
    )


def numbers_of(asked: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of steps of a student.

    Raises:
        InputError: they are not whole numbers.
    """
    return whole_numbers("--steps", asked.get("steps", FEW if asked.get("method") == "consistency" else STEPS))


def scales_of(asked: Mapping[str, Any]) -> tuple[float, float] | None:
    """The lowest and highest guidance scale of a student of a range of scales; None for any other.

    Raises:
        InputError: they are not an interval, or the highest means no guidance.
    """
    low, high = span("--guidance", asked.get("guidance", 1))
    if low < high <= 1:
        raise InputError("invalid", f"a range of --guidance must end above 1, not at {high:g}")
    return (low, high) if low < high else None


def images_of(teacher: LoadedRun, accelerator: Accelerator) -> Dataset:
    """The images of a run, whose labels a student learns.

    Raises:
        InputError: they changed since the run was trained.
    """
    own = teacher.config.data
    with accelerator.main_process_first():
        images = prepare_as(reopen_source(own), own)
    if images.fingerprint != own.fingerprint:
        raise InputError(
            "incompatible", f"the images of {own.source} changed since {teacher.source} was trained; restore them"
        )
    return images


def job_of(config: RunConfig, out: Path, teacher: LoadedRun, images: Dataset, accelerator: Accelerator) -> Job:
    """The job of a student, which starts as its teacher."""
    assert config.distillation is not None
    codec = teacher.engine.codec
    job = reopen(config, out, images, accelerator, codec, text=RunFolder.open(teacher.source).text)
    own, known = job.model.state_dict(), teacher.engine.model.state_dict()
    load_into(own, {**own, **known}, str(teacher.source))  # what the student alone is conditioned on starts as zero
    taught = config.distillation
    if taught.method == "progressive":
        estimate = Teacher(teacher, taught.sampling).estimate
        return replace(job, objective=build.build_progressive(config, estimate, codec))
    assert not isinstance(taught.sampling.grid, str)
    paths = (taught.sampling.grid,) if taught.method == "consistency" else config.paths
    visits = sorted({timestep for path in paths for timestep in path}, reverse=True)[1:]
    levels = [teacher.engine.schedule.level(timestep) for timestep in (*visits, 0.0)]
    trajectory = Teacher(teacher, taught.sampling, levels)
    if taught.method == "consistency":
        return replace(job, objective=build.build_consistency(config, trajectory, trajectory.estimate, codec))
    return replace(job, objective=build.build_distillation(config, trajectory))
