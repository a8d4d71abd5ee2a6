"""The training loop."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors.torch import save as tensors_to_bytes

from ddpm.config.training import TrainSettings
from ddpm.core.model import Model, published
from ddpm.data.dataset import Dataset
from ddpm.data.loader import Batch, Batches, Steps
from ddpm.images.sheets import png
from ddpm.objectives.objective import Objective
from ddpm.system.files import clear_drafts, write_file
from ddpm.system.interrupt import Interrupt
from ddpm.system.threads import Choice, threads
from ddpm.training import checkpoint as checkpoints
from ddpm.training.heldout import HeldOut
from ddpm.training.log import Event
from ddpm.training.measure import pace, try_out
from ddpm.training.meter import Meter
from ddpm.training.power_average import saved_after
from ddpm.training.preview import Preview, colour, drift, page
from ddpm.training.scoring import Best, ScoreCurve, Scoring, publish
from ddpm.training.trainer import Trainer
from ddpm.training.watch import Watch

WEIGHTS = "model.safetensors"
PREVIEWS = "previews"
AVERAGES = "averages"
"""The averaged weights, the previews and the averages saved for any length, in the run folder."""
COMPARED = 3
"""The number of first previews that compare the raw weights with their average."""


class Diverged(RuntimeError):
    """Training stopped, as the gradient stayed non-finite."""


@dataclass(frozen=True)
class Job:
    """The inputs of a training run.

    Attributes:
        folder: the run folder; "checkpoints" and "previews" are created in it.
        data, held_out: the images for training and for validation.
        preview: the preview of the model; None for a model that generates no images.
        scoring: how and when to score the run during training; None for never.
        watch: a further measure of the held-out images, in place of the held-out loss; None for none.
    """

    model: Model
    objective: Objective
    settings: TrainSettings
    data: Dataset
    held_out: Dataset
    folder: Path
    preview: Preview | None = None
    scoring: Scoring | None = None
    watch: Watch | None = None

    @property
    def checkpoints(self) -> Path:
        return self.folder / checkpoints.FOLDER


def train(job: Job, accelerator: Accelerator, interrupt: Interrupt) -> Iterator[Event]:
    """Train from the newest intact checkpoint, or from scratch, until the end or an interrupt.

    The caller writes the log and shows the progress. Every process of a distributed run must iterate; all yield the
    same events; of a finished run, only its end.

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
        if accelerator.is_main_process:  # a killed run may not have pruned, or not to the end
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
    observer = _Observer(job, trainer, accelerator, _best(job, found), choice)
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
        if _passes(images, s.batch, s.checkpoint_every) or last or stop:
            with meter.paused():
                yield from observer.save(done)
            meter.restart()
        elif best:
            with meter.paused():
                yield from observer.save(done)
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
    """Check for a preview, due at a half, quarter, eighth … of the run: often while much changes."""
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


class _Observer:
    """An observer of the run: held-out loss, previews, scores and checkpoints, all in the main process."""

    def __init__(self, job: Job, trainer: Trainer, accelerator: Accelerator, best: Best | None, choice: Choice) -> None:
        self.job, self.trainer, self.accelerator, self.choice = job, trainer, accelerator, choice
        self.held_out = HeldOut(job.held_out, job.objective, job.settings.seed)
        self.curve = ScoreCurve(job.scoring, best) if job.scoring is not None else None
        averages, s = trainer.averages, job.settings
        self.saves = saved_after(s.steps, averages.every, s.averages) if averages is not None else set()

    def look(self, done: int) -> Iterator[Event]:
        """Compute the held-out loss and draw a preview, if the model generates images, after ``done`` steps."""
        with self.trainer.averaged() as averaged:
            if self.accelerator.is_main_process:
                with self.accelerator.autocast():
                    yield from self._look(done, averaged)
        self.accelerator.wait_for_everyone()

    def _look(self, done: int, averaged: Model) -> Iterator[Event]:
        images, device = done * self.job.settings.batch, self.accelerator.device
        losses = {} if self.job.watch is not None else self.held_out.losses(averaged, device)
        if losses:
            values = {"loss": sum(losses.values()) / len(losses), "by_level": losses}
            yield Event("held-out", done, images, values)
        if self.job.preview is not None:
            yield from self._show(done, self.job.preview, averaged)

    def _show(self, done: int, preview: Preview, averaged: Model) -> Iterator[Event]:
        images = done * self.job.settings.batch
        seen = preview.images(averaged)
        compares = self._early(images) and not self.trainer.sharded  # no process has all of the raw weights
        raw = preview.images(self.trainer.model) if compares else None
        path = self.job.folder / PREVIEWS / f"images-{images:09d}.png"
        write_file(path, png(page(raw, seen, preview.sides)))
        stats = colour(seen)
        yield Event("preview", done, images, {"path": str(path), "mean": stats.mean, "std": stats.std})
        warning = drift(stats, preview.expected, len(seen)) if preview.expected is not None else None
        if warning and done:
            yield Event("warning", done, images, {"text": warning})

    def _early(self, images: int) -> bool:
        s = self.job.settings
        return images <= (s.steps * s.batch) >> max(0, s.previews - COMPARED + 1)

    def score(self, done: int, last: bool) -> Generator[Event, None, bool]:
        """Score the average, if time permits or it is the last; returns whether it is the best so far."""
        assert self.curve is not None
        images = done * self.job.settings.batch
        values: list[dict[str, Any] | None] = [None]
        with self.trainer.averaged() as averaged:
            if self.accelerator.is_main_process and (last or self.curve.affordable()):
                with self.accelerator.autocast():
                    values = [self.curve.take(averaged, self.accelerator.device, done, images)]
        broadcast_object_list(values)
        if values[0] is None:
            return False
        yield Event("score", done, images, values[0])
        return bool(values[0]["best"])

    def watch(self, done: int, watch: Watch) -> Iterator[Event]:
        """Measure the average on held-out images, and act on the result in all processes."""
        images = done * self.job.settings.batch
        found: list[float | None] = [None]
        if self.accelerator.is_main_process:
            with self.accelerator.autocast():
                found = [watch.measure(self.trainer.ema.model, self.accelerator.device)]
        broadcast_object_list(found)
        if found[0] is None:
            return
        yield Event("held-out", done, images, {"psnr": found[0]})
        acted = [watch.act(model, found[0]) for model in (self.trainer.model, self.trainer.ema.model)]
        if acted[0]:
            yield Event("warning", done, images, {"text": acted[0]})

    def publish(self) -> None:
        """Record the best checkpoint; at the start too, as a killed run may have named one that it never wrote."""
        if self.curve is not None and self.accelerator.is_main_process:
            publish(self.job.folder, self.curve.best)

    def save_averages(self, done: int) -> None:
        """Save the averages for any length, in half precision."""
        main = self.accelerator.is_main_process
        if self.trainer.averages is None or not (main or self.trainer.sharded):
            return
        data = self.trainer.averages.to_bytes(main)
        if main:
            write_file(self.job.folder / AVERAGES / f"step-{done:09d}.safetensors", data)

    def save(self, done: int) -> Iterator[Event]:
        """Write a checkpoint, and the averaged weights for sampling.

        Yields before: the log of a run killed between the two is complete up to any checkpoint that it left.
        """
        path = checkpoints.path_of(self.job.checkpoints, done)
        yield Event("checkpoint", done, done * self.job.settings.batch, {"path": str(path)})
        state = self.trainer.state(done)
        if self.accelerator.is_main_process:
            # Before the checkpoint: a run killed between the two resumes from the previous checkpoint and writes both
            # again.
            self.publish()
            averaged = published(state.tensors["ema"])
            weights = {k: v.cpu().contiguous() for k, v in averaged.items()}
            write_file(self.job.folder / WEIGHTS, tensors_to_bytes(weights))
            if len(self.choice.counts) > 1:
                state.state["threads"] = self.choice.count
            if self.curve is not None and self.curve.best is not None:
                state = replace(state, state=state.state | {"best": self.curve.best.model_dump()})
            path = checkpoints.write(self.job.checkpoints, state)
            checkpoints.prune(path, self.job.settings.keep)
        self.accelerator.wait_for_everyone()
