"""The training loop."""

import time
from collections.abc import Iterator

import torch
from accelerate import Accelerator

from ddpm.config.training import TrainSettings
from ddpm.data.dataset import Dataset
from ddpm.data.loader import Batch, Batches, Steps
from ddpm.system.files import clear_drafts
from ddpm.system.interrupt import Interrupt
from ddpm.system.threads import threads
from ddpm.training import checkpoint as checkpoints
from ddpm.training.job import AVERAGES, PREVIEWS, Job
from ddpm.training.log import Event
from ddpm.training.measure import pace, try_out
from ddpm.training.meter import Meter
from ddpm.training.observer import Observer
from ddpm.training.scoring import Best
from ddpm.training.trainer import Trainer


class Diverged(RuntimeError):
    """Training stopped because the gradient stayed non-finite."""


def train(job: Job, accelerator: Accelerator, interrupt: Interrupt) -> Iterator[Event]:
    """Train from the newest intact checkpoint, or from scratch, until the end or an interrupt.

    The caller writes the log and shows the progress. Every process of a distributed run must iterate; all yield the
    same events; for a finished run, only its end.

    Raises:
        Diverged: too many consecutive steps had no finite gradient.
        InputError: a file cannot be written, or a checkpoint does not fit.
    """
    s = job.settings
    trainer = Trainer(job.model, job.objective, s, accelerator)
    found, damaged = checkpoints.newest(job.checkpoints)
    start = 0
    if found is not None:
        trainer.restore(found)
        start = found.step
        if accelerator.is_main_process:  # a killed run may not have finished pruning
            checkpoints.prune(checkpoints.path_of(job.checkpoints, start), s.keep, later=False)
    if start >= s.steps:
        yield Event("finish", start, start * s.batch, {"skipped": trainer.skipped})
        return
    yield Event("start", start, start * s.batch, {"of": s.images, "time": time.time()})
    for line in damaged:
        yield Event("warning", start, start * s.batch, {"text": line})

    if accelerator.is_main_process:
        for folder in (job.folder, job.folder / PREVIEWS, job.folder / AVERAGES):
            clear_drafts(folder)
    choice = pace(accelerator, None if found is None else found.state.get("threads"))
    observer = Observer(job, trainer, accelerator, _best(job, found), choice)
    observer.publish()
    rank, world = accelerator.process_index, accelerator.num_processes
    steps = Steps(job.data, s.batch, s.seed, s.flip, rank, world)
    notes: list[str] = []
    if len(choice.counts) > 1:
        with trainer.undone():
            try_out(choice, trainer, steps[start], start)
        speeds = {str(count): s.batch / seconds for count, seconds in choice.tried.items()}
        yield Event("threads", start, start * s.batch, {"threads": choice.count, "images_per_s": speeds})
    if start == 0:
        yield from observer.look(0)
    batches = Batches(steps, start, s.workers)
    meter = Meter(accelerator, s)
    if found is not None and "meter" in found.state:
        meter.restore(found.state["meter"])
    in_a_row = unusable = 0
    for number, batch in zip(range(start, s.steps), batches, strict=False):
        with threads().timed(choice, notes.append):
            report = trainer.step(number, batch.images, batch.conditions)
        done, images = number + 1, (number + 1) * s.batch
        while notes:
            yield Event("warning", done, images, {"text": notes.pop()})
        for line in job.data.unusable(unusable):
            unusable += 1
            yield Event("warning", done, images, {"text": f"{line}; the next image was used in its place"})
        in_a_row = in_a_row + 1 if report.skipped else 0
        if report.skipped:
            yield Event("warning", done, images, {"text": _skipped(done, batch, job.data)})
        if in_a_row == s.patience:
            raise Diverged(
                f"{s.patience} consecutive steps up to step {done} had no finite gradient ({_names(batch, job.data)}); "
                f"use a lower --lr, or resume from an earlier checkpoint in {job.checkpoints}"
            )
        if done in observer.saves:
            with meter.paused():
                observer.save_averages(done)
        meter.add(float(report.grad_norm), report.loss, report.skipped)
        last = done == s.steps
        if _passes(images, s.batch, s.log_every) or last:
            yield Event("train", done, images, meter.read(done, batches, trainer.skipped))
        if _due(images, s) or last:
            with meter.paused():
                yield from observer.look(done)
        best = False
        if job.scoring is not None and (_passes(images, s.batch, job.scoring.settings.every) or last):
            with meter.paused():
                best = yield from observer.score(done, last)
        if job.watch is not None and (_passes(images, s.batch, job.watch.every) or last):
            with meter.paused():
                yield from observer.watch(done, job.watch)
        stop = _agreed(interrupt.requested, accelerator)
        if _passes(images, s.batch, s.checkpoint_every) or last or stop or best:
            with meter.paused():
                yield from observer.save(done, meter.sums())
        if stop and not last:
            yield Event("interrupted", done, images)
            return
    yield Event("finish", s.steps, s.steps * s.batch, {"skipped": trainer.skipped})


def _best(job: Job, found: checkpoints.Checkpoint | None) -> Best | None:
    """Return the best up to a checkpoint, if it still exists; a later best will be found again."""
    if found is None or "best" not in found.state:
        return None
    best = Best.parse(found.state["best"], f"the checkpoint of step {found.step}")
    return best if best.path(job.folder).exists() else None


def _passes(images: int, batch: int, every: int) -> bool:
    return images // every > (images - batch) // every


def _due(images: int, s: TrainSettings) -> bool:
    """Check whether a preview is due: at a half, quarter, eighth … of the run, so often while much changes."""
    total = s.steps * s.batch
    return any(images - s.batch < total >> k <= images for k in range(s.previews))


def _agreed(requested: bool, accelerator: Accelerator) -> bool:
    """Check whether any process was asked to stop: all must stop at the same step."""
    if accelerator.num_processes == 1:
        return requested
    flag = torch.tensor(float(requested), device=accelerator.device)
    return bool(accelerator.reduce(flag, "sum") > 0)


def _names(batch: Batch, data: Dataset) -> str:
    names = [data.names[i] if data.names else str(int(i)) for i in batch.indices[:4]]
    return "images " + ", ".join(names) + (", …" if len(batch.indices) > 4 else "")


def _skipped(step: int, batch: Batch, data: Dataset) -> str:
    return f"skipped step {step}, whose gradient is not finite ({_names(batch, data)})"
