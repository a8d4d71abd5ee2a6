"""Training a run: start or resume it, show progress, record it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, is_initialized

from ddpm import build
from ddpm.config.options import typed
from ddpm.config.run import RunConfig
from ddpm.data.arrays import array_source, open_npz, save_npz
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.data.pairs import with_low
from ddpm.data.report import warnings
from ddpm.engine import Diffusion
from ddpm.images.geometry import Geometry
from ddpm.metrics.features import Extractor
from ddpm.planning import plan
from ddpm.planning.budget import speed_of
from ddpm.planning.data import gather
from ddpm.planning.follow import follow, say, summary
from ddpm.planning.guidance import GuidanceOf, find_guidance
from ddpm.planning.request import Request
from ddpm.records.card import card
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar
from ddpm.system.device import best_device, best_precision
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file
from ddpm.system.names import PrecisionName
from ddpm.system.progress import Progress
from ddpm.system.units import say_bytes, say_seconds
from ddpm.training.loop import Job
from ddpm.training.measure import peak_bytes
from ddpm.training.scoring import Scorer, Scoring

MIXED = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}
MAY_CHANGE = {"workers"}
"""Flags that may change when a run is resumed, as they do not affect its weights."""

ScorerOf = Callable[[RunConfig, Diffusion, Dataset, Extractor, Progress], Scorer]
"""Makes the scorer of a run: see :func:`ddpm.evaluation.during.few_samples`."""


@dataclass(frozen=True)
class Session:
    """A training session, which starts a run or resumes it.

    Attributes:
        data: a path, "digits", or images in memory, which are stored in the run folder.
        out: the run folder.
        given: the given flags of ``ddpm train``, by name; see :meth:`Request.of`.
        scorer_of: makes the scorer of a run that is scored during training.
        guidance_of: searches for the guidance of a finished run.
        device: "cpu", or None for the best available.
        tensorboard: also write TensorBoard logs.
        dry_run: print the plan and the measured time and memory, and stop.
        began: ``time.monotonic()`` at the start.
    """

    data: str | Dataset
    out: Path
    given: Mapping[str, Any]
    scorer_of: ScorerOf
    guidance_of: GuidanceOf
    device: str | None = None
    tensorboard: bool = False
    dry_run: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.out)

    @property
    def source(self) -> str:
        """The source of the images."""
        return self.data if isinstance(self.data, str) else str(self.folder.images)

    @property
    def asked(self) -> dict[str, Any]:
        """The flags to record."""
        return {flag: value for flag, value in self.given.items() if flag not in MAY_CHANGE}

    def run(self) -> None:
        """Start or resume the run, and train it to its end.

        Raises:
            InputError: an input is invalid, or the run was started with other flags.
            Diverged, Interrupted: see :func:`follow`.
        """
        with disk_errors(self.out):
            resumed = self.folder.config_file.exists()
        accelerator, config, job = self._reopen() if resumed else self._start()
        if self.dry_run:
            measure(job, accelerator)
        else:
            guided = partial(find_guidance, self.folder, self.guidance_of, accelerator)
            after = guided if config.guidance_search is not None else None
            job = self._scored(job, config, accelerator)
            train(job, config, accelerator, tensorboard=self.tensorboard, after=after)

    def _reopen(self) -> tuple[Accelerator, RunConfig, Job]:
        config = self.folder.config()
        data = config.data
        if config.distillation is not None:
            raise InputError("incompatible", f"{self.out} is a {config.student}; resume it with `ddpm distill`")
        if data.source != self.source:
            raise InputError(
                "incompatible", f"{self.out} was trained on {data.source}, not {self.source}; choose another --out"
            )
        refuse_others(self.out, self.asked, config.request, "choose another --out")
        accelerator = accelerator_of(self.device, config.training.precision)
        self._store(accelerator)
        source = open_source(self.source)
        with accelerator.main_process_first():
            dataset = prepare(source, Geometry(data.size, data.mode, data.fit), skip_bad=data.skip_bad)
            if config.upscaling is not None and config.upscaling.low is not None:
                low, scale = config.upscaling.low, config.upscaling.scale
                dataset = with_low(dataset, low, scale, data.fit, skip_bad=data.skip_bad)
        job = plan.reopen(config, self.out, dataset, accelerator)
        if "workers" in self.given:
            try:
                job = replace(job, settings=replace(job.settings, workers=self.given["workers"]))
            except ValueError as e:
                raise InputError("invalid", f"--workers: {e}") from e
        say(accelerator, f"resuming {self.out}")
        return accelerator, config, job

    def _start(self) -> tuple[Accelerator, RunConfig, Job]:
        request = Request.of(self.source, self.given)
        accelerator = accelerator_of(self.device, self.given.get("precision"))
        refuse_filled(self.out, None if isinstance(self.data, str) else self.folder.images)
        self._store(accelerator)
        with accelerator.main_process_first(), bar("reading") as progress:
            found, dataset = gather(request, progress)
        for line in warnings(found):
            say(accelerator, f"note: {line}")
        with bar("preparing") as progress:
            made = plan.make(
                request,
                self.out,
                dataset,
                accelerator,
                asked=self.asked,
                began=self.began,
                say=lambda line: say(accelerator, line),
                progress=progress,
            )
        for line in summary(made, accelerator):
            say(accelerator, line)
        if accelerator.is_main_process and not self.dry_run:
            made.config.write(self.folder.config_file)
        accelerator.wait_for_everyone()
        return accelerator, made.config, made.job

    def _store(self, accelerator: Accelerator) -> None:
        """Store images given in memory, once."""
        data, path = self.data, self.folder.images
        if isinstance(data, str):
            return
        with accelerator.main_process_first():
            if not path.exists():
                save_npz(data, path)
            elif open_npz(path).key != array_source(data.images, data.labels, data.classes).key:
                raise InputError("incompatible", f"{path} holds images other than the given ones; choose another --out")

    def _scored(self, job: Job, config: RunConfig, accelerator: Accelerator) -> Job:
        """The job with its scorer, if the run is scored."""
        if config.scoring is None:
            return job
        extractor = build.build_features("embedded", None, config.data.size, accelerator.device)
        with accelerator.main_process_first(), bar("extracting features") as progress:
            engine = Diffusion.of(config, job.model, accelerator.device)
            scorer = self.scorer_of(config, engine, job.data, extractor, progress)
        return replace(job, scoring=Scoring(scorer, config.scoring))


def measure(job: Job, accelerator: Accelerator) -> None:
    """Print the measured time and memory of a run, without training it."""
    speed = speed_of(job, accelerator)
    took, peak = say_seconds(job.settings.images / speed), say_bytes(peak_bytes(accelerator.device))
    say(accelerator, f"measured  {speed:.0f} images/s, {took} in total; peak memory {peak} per process")


def train(
    job: Job,
    config: RunConfig,
    accelerator: Accelerator,
    *,
    tensorboard: bool,
    after: Callable[[], None] | None = None,
) -> None:
    """Train a run to its end, with its card, log and progress.

    Args:
        after: called when training is finished.

    Raises:
        Diverged, Interrupted: see :func:`follow`.
    """
    folder = RunFolder(job.folder)
    if accelerator.is_main_process and not folder.card.exists():
        weights = sum(p.numel() for p in job.model.parameters())
        write_file(folder.card, card(config, str(job.folder), weights).encode())
    follow(job, accelerator, job.folder / "tensorboard" if tensorboard else None)
    if after is not None:
        after()
    next = f"upscale {job.folder} small.png" if config.upscaling is not None else f"sample {job.folder} -n 16"
    say(accelerator, f"done: {job.folder}\nnext: ddpm {next}")
    if (best := folder.best()) is not None:
        how = f"ddpm sample {best.path(job.folder)}"
        say(accelerator, f"best: {best.images:,} images, Fréchet distance {best.frechet:.4g}: {how}")


def refuse_filled(out: Path, stored: Path | None = None) -> None:
    """Refuse to start a run in a folder that holds anything but ``stored``.

    Raises:
        InputError: it does.
    """
    # a process killed while writing may leave a partial file
    if out.is_dir() and any(path.suffix != ".part" and path != stored for path in out.iterdir()):
        raise InputError("exists", f"{out} already exists and is not a run; choose another --out, or empty it")


def accelerator_of(device: str | None, precision: PrecisionName | None) -> Accelerator:
    """The device and precision to train with: the best available if not given.

    Raises:
        InputError: this machine does not support the precision.
    """
    where = torch.device("cpu") if device == "cpu" else best_device()
    precision = precision or best_precision(where)[0]
    if precision not in MIXED:
        raise InputError("unknown", f"--precision {precision} is unknown; use {', '.join(MIXED)}")
    # accelerate keeps one state per process, even if the next run needs another
    state = AcceleratorState() if is_initialized() else None
    if state is not None and (state.mixed_precision, state.device.type) != (MIXED[precision], where.type):
        AcceleratorState._reset_state(reset_partial_state=state.num_processes == 1)
    try:
        accelerator = Accelerator(cpu=where.type == "cpu", mixed_precision=MIXED[precision])
        if precision == "fp16" and accelerator.scaler is None:  # on CPUs accelerate silently falls back
            raise ValueError("it requires a GPU")
    except ValueError as e:
        raise InputError("device", f"this machine cannot train in {precision} ({e}); use another --precision") from e
    return accelerator


def refuse_others(folder: Path, asked: Mapping[str, Any], before: Mapping[str, Any], otherwise: str) -> None:
    """Refuse to resume with flags other than those training was started with.

    Raises:
        InputError: a flag differs; the message names the first.
    """
    for flag, value in asked.items():
        if before.get(flag) != value:
            had = before.get(flag)
            spelled = " ".join(typed({flag: value if had is None else had}))
            was = f"without {spelled}" if had is None else f"with {spelled}"
            raise InputError("incompatible", f"{folder} was started {was}; drop the flag to resume, or {otherwise}")
