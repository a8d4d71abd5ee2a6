"""Measurements, previews and saves during training."""

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors.torch import save as tensors_to_bytes

from ddpm.core.model import Model, published
from ddpm.images.sheets import png
from ddpm.system.files import write_file
from ddpm.system.threads import Choice
from ddpm.training import checkpoint as checkpoints
from ddpm.training.heldout import HeldOut
from ddpm.training.job import AVERAGES, PREVIEWS, WEIGHTS, Job
from ddpm.training.log import Event
from ddpm.training.power_average import saved_after
from ddpm.training.preview import Preview, colour, drift, page
from ddpm.training.scoring import Best, ScoreCurve, publish
from ddpm.training.trainer import Trainer
from ddpm.training.watch import Watch

COMPARED = 3
"""The number of first previews that compare the raw weights with their average."""


class Observer:
    """An observer of the run: held-out loss, previews, scores and checkpoints, all in the main process."""

    def __init__(self, job: Job, trainer: Trainer, accelerator: Accelerator, best: Best | None, choice: Choice) -> None:
        self.job, self.trainer, self.accelerator, self.choice = job, trainer, accelerator, choice
        self.held_out = HeldOut(job.held_out, job.objective, job.settings.seed, batch=job.settings.micro_batch)
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
        acted = [watch.act(model, images, found[0]) for model in (self.trainer.model, self.trainer.ema.model)]
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

    def save(self, done: int, sums: dict[str, float]) -> Iterator[Event]:
        """Write a checkpoint with the sums of the log's next line, and the averaged weights for sampling.

        Yields first, so that the log of a run killed between the two is complete up to any checkpoint that it left.
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
            if all(map(math.isfinite, sums.values())):  # JSON has no others
                state.state["meter"] = sums
            if len(self.choice.counts) > 1:
                state.state["threads"] = self.choice.count
            if self.curve is not None and self.curve.best is not None:
                state = replace(state, state=state.state | {"best": self.curve.best.model_dump()})
            path = checkpoints.write(self.job.checkpoints, state)
            checkpoints.prune(path, self.job.settings.keep)
        self.accelerator.wait_for_everyone()
