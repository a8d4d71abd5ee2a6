"""Terminal output of training: the plan and the progress."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.markup import escape

from ddpm.planning.defaults import per_process
from ddpm.planning.plan import Plan
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar, console, watched
from ddpm.system.interrupt import Interrupt, Interrupted
from ddpm.system.lock import exclusive
from ddpm.system.progress import Progress
from ddpm.system.units import say_bytes, say_seconds
from ddpm.training.job import Job
from ddpm.training.log import Event, Log, finished
from ddpm.training.loop import train


def say(accelerator: Accelerator, line: str) -> None:
    """Print a line from the main process."""
    if accelerator.is_main_process:
        console.print(line, markup=False)


def follow(job: Job, accelerator: Accelerator, tensorboard: Path | None = None) -> None:
    """Train, write the log and show progress.

    Raises:
        InputError: another process trains the run.
        Diverged: too many consecutive steps were not finite.
        Interrupted: stopped by a signal; the run can be resumed.
    """
    last: Event | None = None
    main = accelerator.is_main_process
    with Interrupt() as interrupt, bar("training") as progress, ExitStack() as held:
        show = Show(job, progress)
        log: Log | None = None
        try:
            if main:
                held.enter_context(exclusive(job.folder))
            for event in train(job, accelerator, interrupt):
                if event.kind == "finish" and last is None and finished(RunFolder(job.folder).log):
                    break  # before this command
                if main:
                    log = log or Log(RunFolder(job.folder).log, event.step, event.images, tensorboard)
                    log.write(event)
                    show(event)
                last = event
        finally:
            if log is not None:
                log.close()
    accelerator.end_training()
    if last is not None and last.kind == "interrupted":
        say(accelerator, f"interrupted after {last.images:,} images; re-run the same command to resume")
        raise Interrupted


def summary(made: Plan, accelerator: Accelerator) -> Iterator[str]:
    """A plan as lines for the terminal."""
    config, s = made.config, made.config.training
    data, net, diffusion, u = config.data, config.network, config.diffusion, config.upscaling
    weights = sum(p.numel() for p in made.job.model.parameters())
    size = " × ".join(map(str, data.size))
    classes = f", {len(data.classes)} classes" if data.classes else ""
    yield f"data      {data.images:,} images of {size} {data.mode}{classes}; {data.held_out} held out"
    if u is not None:
        small = " × ".join(str(n // u.scale) for n in data.size)
        origin = "averaged from the images" if u.low is None else f"images of {u.low}"
        yield f"from      {small}, {origin}, with noise up to {u.s_max:g}"
    if config.codec.words:
        channels, height, width = config.shape
        yield f"latents   {height} × {width}, {channels} channels, {config.codec.words}"
    if config.text is not None:
        yield f"text      {config.text.summary}"
    yield (
        f"network   {weights / 1e6:.1f} M parameters: {net.describe()}; {diffusion.prediction} prediction, "
        f"{diffusion.schedule} schedule" + (", learned variance" if diffusion.variance == "learned" else "")
    )
    world = accelerator.num_processes
    share = f" = {world} processes × {per_process(s.batch, world)}" if world > 1 else ""
    share += ", weights divided" * (s.shard and world > 1)
    micro = f" in micro-batches of {s.micro_batch}" if s.micro_batch < per_process(s.batch, world) else ""
    yield (
        f"training  {s.images:,} images ({s.images / data.images:.1f} epochs), batch {s.batch}{share}{micro}, "
        + (f"learning rate {s.learning_rate:g}, {s.precision}; {config.aim}")
    )
    if s.shard and world == 1:
        yield "note: --shard has no effect in a single process; see docs/processes.md"
    speed = f"{made.speed:.0f} images/s, {say_seconds(s.images / made.speed)}; " if made.speed else ""
    looks = s.previews + 1
    yield f"cost      {speed}about {say_bytes(made.memory.peak(s.micro_batch))} of memory per process; {looks} previews"
    if config.scoring is not None:
        c = config.scoring
        often = f"about {c.points(s.images, s.batch)}, from {c.samples} samples each"
        yield f"scores    {often}, at most {100 * c.share:g} % of the time"
    if config.guidance_search is not None:
        g = config.guidance_search
        often = f"on {g.samples} samples, in about {100 * g.cost(config.guides) / s.images:.0f} % of the time"
        yield f"guidance  searched at the end, {often}"


class Show:
    """Shows events: advances the bar, and prints what should stay above it, or in a log a line for each tenth."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self._total, self._progress, self._tenths = job.settings.steps * job.settings.batch, progress, 0

    def __call__(self, event: Event) -> None:
        v: dict[str, Any] = event.values
        line = ""
        tenths = event.images * 10 // self._total
        match event.kind:
            case "start":
                self._tenths = tenths
            case "train":
                loss = f"{v['loss']:.4f}" if v["loss"] is not None else "–"
                note = f"loss {loss}  {v['images_per_s']:.0f} images/s  data wait {100 * v['waiting']:.0f} %"
                self._progress(event.images, self._total, note)
                if not watched() and tenths > self._tenths:
                    self._tenths = tenths
                    line = f"{note}  {say_seconds(v['eta_s']) if v['eta_s'] is not None else '?'} left"
            case "threads":
                others = [(n, speed) for n, speed in v["images_per_s"].items() if n != str(v["threads"])]
                slower = [f"with {n}: {speed:.0f}" if speed else f"with {n}: too slow to try" for n, speed in others]
                speed = v["images_per_s"][str(v["threads"])]
                console.print(
                    f"threads   {v['threads']} on the CPU, {speed:.0f} images/s ({', '.join(slower)})", markup=False
                )
            case "held-out":
                line = f"held-out loss {v['loss']:.4f}" if "loss" in v else f"held-out PSNR {v['psnr']:.2f} dB"
            case "score":
                best = ", the best so far" if v["best"] else ""
                line = f"Fréchet distance {v['frechet']:.4g}, KID {v['kid']:.3g} from {v['n']} samples{best}"
            case "preview":
                line = str(v["path"])
            case "warning":
                console.print(f"[yellow]warning[/] {escape(v['text'])}")
        if line:
            console.print(f"{event.images:>10,} images  {line}", markup=False)
