"""A training run on the command line: start or resume, show, record."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.markup import escape

from ddpm import build
from ddpm.cli import EXIT_DIVERGED, EXIT_INTERRUPTED
from ddpm.cli.console import Bar, bar, console
from ddpm.cli.train import Flags
from ddpm.config.run import RunConfig
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.data.pairs import with_low
from ddpm.data.report import warnings
from ddpm.engine import Diffusion
from ddpm.evaluation.during import few_samples
from ddpm.images.geometry import Geometry
from ddpm.planning import plan
from ddpm.planning.budget import speed_of
from ddpm.planning.data import gather
from ddpm.records.card import card
from ddpm.records.run_folder import RunFolder
from ddpm.system.device import best_device
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file
from ddpm.system.interrupt import Interrupt
from ddpm.system.names import PrecisionName
from ddpm.system.precision import best_precision
from ddpm.system.units import say_bytes, say_seconds
from ddpm.training.log import Event, Log
from ddpm.training.loop import Diverged, Job, train
from ddpm.training.measure import peak_bytes
from ddpm.training.scoring import Scoring

MIXED = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}


@dataclass
class Session:
    """One ``ddpm train`` command.

    Attributes:
        data: as it was given.
        out: the run folder.
        began: ``time.monotonic()`` at the start.
    """

    data: str
    out: Path
    flags: Flags
    began: float

    def run(self) -> None:
        """Start the run, or go on with it, to its end or an interrupt (which ends the process with its exit code)."""
        path = RunFolder(self.out).config_file
        with disk_errors(self.out):
            resumed = path.exists()
        if resumed:
            config = self._recorded(path)
            accelerator = accelerator_of(self.flags.device, config.training.precision)
            job = self._reopen(config, accelerator)
            say(accelerator, f"going on with {self.out}")
        else:
            self.flags.request(self.data)  # refused before anything is loaded
            accelerator = accelerator_of(self.flags.device, self.flags.precision)
            job, config = self._start(accelerator)
        if self.flags.dry_run:
            speed = speed_of(job, accelerator)
            took, peak = say_seconds(config.training.images / speed), say_bytes(peak_bytes(accelerator.device))
            say(accelerator, f"measured  {speed:.0f} images/s, {took} in all; at most {peak} of memory a process")
        else:
            self._train(self._scored(job, config, accelerator), config, accelerator)

    def _recorded(self, path: Path) -> RunConfig:
        """The config of the run that is there, if it is the one that was asked for.

        Raises:
            InputError: it was started with other flags.
        """
        config = RunConfig.read(path)
        if config.data.source != self.data:
            raise InputError(f"{self.out} is a run on {config.data.source}, not on {self.data}; choose another --out")
        refuse_others(self.out, self.flags.asked(), config.request, "choose another --out")
        return config

    def _reopen(self, config: RunConfig, accelerator: Accelerator) -> Job:
        source = open_source(self.data)
        size = Geometry(config.data.size, config.data.mode, config.data.fit)
        with accelerator.main_process_first():
            dataset = prepare(source, size, skip_bad=config.data.skip_bad)
            if config.upscaling is not None and config.upscaling.low is not None:
                low, scale = config.upscaling.low, config.upscaling.scale
                dataset = with_low(dataset, low, scale, config.data.fit, skip_bad=config.data.skip_bad)
        job = plan.reopen(config, self.out, dataset, accelerator)
        if self.flags.workers is None:
            return job
        try:
            return replace(job, settings=replace(job.settings, workers=self.flags.workers))
        except ValueError as e:
            raise InputError(f"--workers: {e}") from e

    def _start(self, accelerator: Accelerator) -> tuple[Job, RunConfig]:
        # a process that was killed while it wrote may leave half a file
        if self.out.is_dir() and any(path.suffix != ".part" for path in self.out.iterdir()):
            raise InputError(f"{self.out} holds other files; choose another --out, or empty it")
        request = self.flags.request(self.data)
        with accelerator.main_process_first(), bar("reading") as progress:
            gathered = gather(request, progress)
        for line in warnings(gathered.found):
            say(accelerator, f"note: {line}")
        with bar("preparing") as progress:
            made = plan.make(
                request,
                self.out,
                gathered.data,
                accelerator,
                asked=self.flags.asked(),
                began=self.began,
                say=lambda line: say(accelerator, line),
                progress=progress,
            )
        for line in summary(made, accelerator):
            say(accelerator, line)
        if accelerator.is_main_process and not self.flags.dry_run:
            made.config.write(RunFolder(self.out).config_file)
        accelerator.wait_for_everyone()
        return made.job, made.config

    def _scored(self, job: Job, config: RunConfig, accelerator: Accelerator) -> Job:
        """The job with its scorer, if it is to be scored."""
        if config.scoring is None:
            return job
        extractor = build.build_features("embedded", None, config.data.size, accelerator.device)
        with accelerator.main_process_first(), bar("looking at the images") as progress:
            engine = Diffusion.of(config, job.model, accelerator.device)
            scorer = few_samples(config, engine, job.data, extractor, progress)
        return replace(job, scoring=Scoring(scorer, config.scoring))

    def _train(self, job: Job, config: RunConfig, accelerator: Accelerator) -> None:
        if accelerator.is_main_process and not RunFolder(self.out).card.exists():
            weights = sum(p.numel() for p in job.model.parameters())
            write_file(RunFolder(self.out).card, card(config, str(self.out), weights).encode())
        tensorboard = self.out / "tensorboard" if self.flags.tensorboard else None
        follow(job, accelerator, tensorboard)
        next = f"upscale {self.out} small.png" if config.upscaling is not None else f"sample {self.out} -n 16"
        say(accelerator, f"done: {self.out}\nnext: ddpm {next}")
        if (best := RunFolder(self.out).best()) is not None:
            how = f"ddpm sample {best.path(self.out)}"
            say(accelerator, f"best: {best.images:,} images, Fréchet distance {best.frechet:.4g}: {how}")


def accelerator_of(device: str | None, precision: PrecisionName | None) -> Accelerator:
    """Where and in which arithmetic to train: the best there is where it is not said.

    Raises:
        InputError: this machine cannot.
    """
    where = torch.device("cpu") if device == "cpu" else best_device()
    precision = precision or best_precision(where).name
    try:
        accelerator = Accelerator(cpu=where.type == "cpu", mixed_precision=MIXED[precision])
        if precision == "fp16" and accelerator.scaler is None:  # on CPUs accelerate falls back without a word
            raise ValueError("only GPUs compute it")
    except ValueError as e:
        raise InputError(f"this machine cannot train in {precision} ({e}); start with another --precision") from e
    return accelerator


def say(accelerator: Accelerator, line: str) -> None:
    """A line on the terminal, by the main process."""
    if accelerator.is_main_process:
        console.print(line, markup=False)


def refuse_others(folder: Path, asked: Mapping[str, Any], before: Mapping[str, Any], otherwise: str) -> None:
    """Refuse to go on with flags that training was not started with.

    Raises:
        InputError: the first of them, and what else can be done.
    """
    for flag, value in asked.items():
        if before.get(flag) != value:
            had = before.get(flag)
            was = f"with {_spelled(flag, had)}" if had is not None else f"without {_spelled(flag, value)}"
            raise InputError(f"{folder} was started {was}; go on without the flag, or {otherwise}")


def follow(job: Job, accelerator: Accelerator, tensorboard: Path | None = None) -> None:
    """Train, write the log and show the progress; an interrupt or divergence ends the process with its exit code."""
    last: Event | None = None
    main = accelerator.is_main_process
    with Interrupt() as interrupt, bar("training") as progress:
        log: Log | None = None
        try:
            for event in train(job, accelerator, interrupt):
                if main:
                    log = log or Log(RunFolder(job.folder).log, event.step, tensorboard)
                    log.write(event)
                    show(event, job, progress)
                last = event
        except Diverged as e:
            if main:
                print(f"ddpm: {e}", file=sys.stderr)
            sys.exit(EXIT_DIVERGED)
        finally:
            if log is not None:
                log.close()
    accelerator.end_training()
    if last is not None and last.kind == "interrupted":
        say(accelerator, f"interrupted after {last.images:,} images; the same command goes on")
        sys.exit(EXIT_INTERRUPTED)


def _spelled(flag: str, value: Any) -> str:
    """A flag as it is typed."""
    name = flag.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return " ".join(f"--{name} {one}" for one in (value if isinstance(value, list) else [value]))


def summary(made: plan.Plan, accelerator: Accelerator) -> Iterator[str]:
    """What a plan comes to, in lines."""
    config, s = made.config, made.config.training
    weights = sum(p.numel() for p in made.job.model.parameters())
    size = " × ".join(map(str, config.data.size))
    classes = f", {len(config.data.classes)} classes" if config.data.classes else ""
    data, net, diffusion = config.data, config.network, config.diffusion
    yield f"data      {data.images:,} images of {size} {data.mode}{classes}; {data.held_out} held out"
    if config.upscaling is not None:
        u = config.upscaling
        small = " × ".join(str(n // u.scale) for n in data.size)
        origin = "averages of boxes of the images" if u.low is None else f"images of {u.low}"
        yield f"from      {small}, {origin}, with noise up to {u.s_max:g}"
    yield (
        f"network   {weights / 1e6:.1f} M weights: {net.describe()}; {diffusion.prediction} prediction, "
        f"{diffusion.schedule} schedule" + (", learned variance" if diffusion.variance == "learned" else "")
    )
    world = accelerator.num_processes
    share = f" = {world} processes × {-(-s.batch // world)}" if world > 1 else ""
    micro = f" in micro-batches of {s.micro_batch}" if s.micro_batch < -(-s.batch // world) else ""
    yield (
        f"training  {s.images:,} images ({s.images / config.data.images:.1f} epochs), batch {s.batch}{share}{micro}, "
        + (f"learning rate {s.learning_rate:g}, {s.precision}; {config.objective.words}")
    )
    speed = f"{made.speed:.0f} images/s, {say_seconds(s.images / made.speed)}; " if made.speed else ""
    looks = s.previews + 1
    yield f"cost      {speed}about {say_bytes(made.memory.peak(s.micro_batch))} of memory a process; {looks} previews"
    if config.scoring is not None:
        c = config.scoring
        often = f"about {c.points(s.images, s.batch)}, on {c.samples} samples each"
        yield f"scores    {often}, at most {100 * c.share:g} % of the time"


def show(event: Event, job: Job, progress: Bar) -> None:
    """An event on the terminal: the bar moves, and what matters stays above it."""
    v: dict[str, Any] = event.values
    total = job.settings.steps * job.settings.batch
    match event.kind:
        case "train":
            loss = f"{v['loss']:.4f}" if v["loss"] is not None else "–"
            note = f"loss {loss}  {v['images_per_s']:.0f} images/s  waiting {100 * v['waiting']:.0f} %"
            progress(event.images, total, note)
            if (
                not sys.stdout.isatty()
                and event.images * 10 // total > (event.images - job.settings.log_every) * 10 // total
            ):
                left = say_seconds(v["eta_s"]) if v["eta_s"] is not None else "?"
                console.print(f"{event.images:>10,} images  {note}  {left} left", markup=False)
        case "held-out":
            console.print(f"{event.images:>10,} images  held-out loss {v['loss']:.4f}", markup=False)
        case "score":
            best = ", the best so far" if v["best"] else ""
            line = f"Fréchet distance {v['frechet']:.4g}, KID {v['kid']:.3g} of {v['n']} samples{best}"
            console.print(f"{event.images:>10,} images  {line}", markup=False)
        case "preview":
            console.print(f"{event.images:>10,} images  {v['path']}", markup=False)
        case "warning":
            console.print(f"[yellow]warning[/] {escape(v['text'])}")
