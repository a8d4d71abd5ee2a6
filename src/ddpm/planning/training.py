"""The common part of commands that train a run: start or resume it, score it, train it to the end."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, is_initialized
from accelerate.utils import InitProcessGroupKwargs

from ddpm import build
from ddpm.config.options import typed
from ddpm.config.run import RunConfig
from ddpm.data.captions import example
from ddpm.data.dataset import Dataset
from ddpm.engine import Diffusion
from ddpm.engine.codec import open_codec
from ddpm.metrics.features import Extractor
from ddpm.planning.budget import speed_of
from ddpm.planning.follow import follow, say, summary
from ddpm.planning.guidance import GuidanceOf, find_guidance
from ddpm.planning.plan import Plan
from ddpm.records.card import card
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar
from ddpm.system.device import best_device, best_precision
from ddpm.system.errors import InputError
from ddpm.system.filenames import refuse_bytes
from ddpm.system.files import disk_errors, write_file
from ddpm.system.lock import LOCK, exclusive
from ddpm.system.names import PrecisionName
from ddpm.system.peers import PATIENCE, watch
from ddpm.system.progress import Progress
from ddpm.system.units import say_bytes, say_seconds
from ddpm.text.weighting import escape
from ddpm.training.job import Job
from ddpm.training.measure import peak_bytes
from ddpm.training.scoring import Scorer, Scoring

MIXED = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}

ScorerOf = Callable[[RunConfig, Diffusion, Dataset, Extractor, Progress], Scorer]
"""Makes the scorer of a run: see :func:`ddpm.evaluation.during.few_samples`."""


@dataclass(frozen=True)
class OpenedRun:
    """A run that was started or resumed, ready to train."""

    accelerator: Accelerator
    config: RunConfig
    job: Job


@dataclass(frozen=True)
class Command:
    """How a command trains a run, whatever the run learns.

    Attributes:
        out: the run folder.
        scorer_of: makes the scorer of a run that is scored during training.
        guidance_of: searches for the guidance of a finished run that asks for it.
        device: "cpu", or None for the best available.
        tensorboard: also write TensorBoard logs.
        dry_run: print the plan and the measured time and memory, and stop.
    """

    out: Path
    scorer_of: ScorerOf
    guidance_of: GuidanceOf | None = None
    device: str | None = None
    tensorboard: bool = False
    dry_run: bool = False

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.out)

    def run(self, start: Callable[[], OpenedRun], reopen: Callable[[], OpenedRun]) -> None:
        """Start or resume the run, and train it to the end.

        Raises:
            Diverged, Interrupted: see :func:`~ddpm.planning.follow.follow`.
        """
        with disk_errors(self.out):
            resumed = self.folder.config_file.exists()
        opened = reopen() if resumed else start()
        if self.dry_run:
            measure(opened.job, opened.accelerator)
        else:
            self._train(self._scored(opened))

    def begun(self, made: Plan, accelerator: Accelerator) -> OpenedRun:
        """Print the plan of a new run and write its config."""
        for line in summary(made, accelerator):
            say(accelerator, line)
        if accelerator.is_main_process and not self.dry_run:
            with claimed(self.folder):
                if made.codec is not None:
                    made.codec.write(self.folder.codec)
                if made.text is not None:
                    for file in filter(Path.is_file, made.text.iterdir()):
                        write_file(self.folder.text / file.name, file.read_bytes())
                made.config.write(self.folder.config_file)
        accelerator.wait_for_everyone()
        return OpenedRun(accelerator, made.config, made.job)

    def resumed(self, config: RunConfig, job: Job, accelerator: Accelerator) -> OpenedRun:
        """Print that a run is resumed."""
        say(accelerator, f"resuming {self.out}")
        return OpenedRun(accelerator, config, job)

    def _scored(self, opened: OpenedRun) -> OpenedRun:
        """The job with its scorer, if the run is scored."""
        accelerator, config, job = opened.accelerator, opened.config, opened.job
        if config.scoring is None:
            return opened
        extractor = build.build_features("embedded", None, config.data.size, accelerator.device)
        with accelerator.main_process_first(), bar("extracting features") as progress:
            codec = open_codec(self.folder, config, accelerator.device)
            engine = Diffusion.of(config, job.model, accelerator.device, codec)
            scorer = self.scorer_of(config, engine, job.data, extractor, progress)
        return replace(opened, job=replace(job, scoring=Scoring(scorer, config.scoring)))

    def _train(self, opened: OpenedRun) -> None:
        """Train the run to the end, with its card, log and progress."""
        accelerator, config, job, folder = opened.accelerator, opened.config, opened.job, self.folder
        prompt = example(job.data.captions or ()) if config.text is not None and config.guides else None
        prompt = None if prompt is None else escape(prompt)
        if accelerator.is_main_process and not folder.card.exists():
            weights = sum(p.numel() for p in job.model.parameters())
            write_file(folder.card, card(config, str(job.folder), weights, prompt).encode(errors="surrogateescape"))
        follow(job, accelerator, job.folder / "tensorboard" if self.tensorboard else None)
        if config.guidance_search is not None and self.guidance_of is not None:
            find_guidance(folder, self.guidance_of, accelerator)
        next = f"upscale {job.folder} small.png" if config.upscaling is not None else f"sample {job.folder} -n 16"
        given = "" if prompt is None else f" {shlex.join(typed({'prompt': prompt}))}"
        say(accelerator, f"done: {job.folder}\nnext: ddpm {next}{given}")
        if (best := folder.best()) is not None:
            how = f"ddpm sample {best.path(job.folder)}"
            say(accelerator, f"best: {best.images:,} images, Fréchet distance {best.frechet:.4g}: {how}")


def measure(job: Job, accelerator: Accelerator) -> None:
    """Print the measured time and memory of a run, without training it."""
    speed = speed_of(job, accelerator)
    took, peak = say_seconds(job.settings.images / speed), say_bytes(peak_bytes(accelerator.device))
    say(accelerator, f"measured  {speed:.0f} images/s, {took} in total; peak memory {peak} per process")


def refuse_filled(out: Path, stored: Path | None = None) -> None:
    """Refuse to start a run in a folder that holds anything but ``stored``, and copies of a codec and a text encoder.

    Raises:
        InputError: it does, or its path is not UTF-8.
    """
    refuse_bytes(out)
    # a process killed while writing may leave a partial file, or a copy without the config that is written last
    left = (stored, RunFolder(out).codec, RunFolder(out).text, out / LOCK)
    if out.is_dir() and any(path.suffix != ".part" and path not in left for path in out.iterdir()):
        raise InputError("exists", f"{out} already exists and is not a run; choose another --out, or empty it")


@contextmanager
def claimed(run: RunFolder) -> Iterator[None]:
    """A context in which a new run may write its config.

    Raises:
        InputError: another process trains in the folder, or has started a run there since this command looked.
    """
    with exclusive(run.path):
        if run.config_file.exists():
            raise InputError(
                "busy", f"another process just started a run in {run.path}; choose another --out, or re-run"
            )
        yield


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
        accelerator = Accelerator(
            cpu=where.type == "cpu",
            mixed_precision=MIXED[precision],
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        if precision == "fp16" and accelerator.scaler is None:  # on CPUs accelerate silently falls back
            raise ValueError("it requires a GPU")
    except ValueError as e:
        raise InputError("device", f"this machine cannot train in {precision} ({e}); use another --precision") from e
    watch()
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
            name, *_ = typed({flag: value}) or [f"--{flag}"]
            raise InputError("incompatible", f"{folder} was started {was}; omit {name} to resume, or {otherwise}")
