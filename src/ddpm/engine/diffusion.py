"""The engine: a model and its diffusion process, ready to sample."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Self

import numpy as np
import torch

from ddpm import build
from ddpm.codec import Codec
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Denoiser, Level, Parameterisation, Schedule
from ddpm.core.condition import Absent, Conditions, select
from ddpm.core.model import Model
from ddpm.engine.batches import filled, large
from ddpm.engine.guides import UNGUIDED, Guides
from ddpm.engine.task import PLAIN, Task, Tasks
from ddpm.guidance.classifier import Direction
from ddpm.images.pixels import Pixels
from ddpm.sampling import Row, SampleNoise, Solver
from ddpm.sampling.follow import Moment, follow
from ddpm.sampling.inversion import inversion
from ddpm.sampling.windows import Windows, starts
from ddpm.system.errors import InputError
from ddpm.system.names import VarianceName
from ddpm.system.progress import Progress, among, silent
from ddpm.system.tensors import finite
from ddpm.system.threads import WINDOW, threads

OVERLAP = 0.5
"""The overlap of neighbouring windows as a fraction of a window, where images are larger than in training."""


@dataclass(frozen=True)
class Diffusion:
    """A model with its diffusion process. It has no state, so threads may share it.

    Every image depends only on its own seed and index, conditions and settings, whatever else is in its batch.

    Attributes:
        model: in evaluation mode, on ``device``.
        schedule: the forward process.
        parameterisation: how the network is called.
        codec: converts between stored images and x0.
        shape: (C, H, W) of x at the training size.
        variance: the variance of an ancestral step, unless the solver sets it.
        device: the device to compute on.
        factor: the side of one position of x, in pixels.
    """

    model: Model
    schedule: Schedule
    parameterisation: Parameterisation
    codec: Codec
    shape: tuple[int, int, int]
    variance: VarianceName
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    factor: int = 1

    @classmethod
    def of(cls, config: RunConfig, model: Model, device: torch.device, codec: Codec | None = None) -> Self:
        """Make the engine of a run with a model of it.

        Args:
            codec: the run's; None for one without weights.
        """
        return cls(
            model,
            build.build_schedule(config.diffusion),
            build.build_parameterisation(config.diffusion),
            codec or build.build_codec(config),
            config.shape,
            config.diffusion.variance,
            device,
            config.codec.factor,
        )

    def with_model(self, model: Model) -> Self:
        """Return the same process with another model."""
        return replace(self, model=model)

    @torch.no_grad()
    def draw(
        self,
        how: SamplingConfig,
        rows: Sequence[Row],
        conditions: Conditions | None = None,
        guides: Guides = UNGUIDED,
        *,
        task: Tasks | None = None,
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
    ) -> Pixels:
        """Sample one batch of images, (len(rows), H, W, C) uint8.

        Args:
            rows: the seed and index of each image: rows of several requests may share a batch.
            conditions: raw, by kind, (len(rows), …) each; a kind that is missing here and in the settings is null.
            task: how sampling is modified, for positions 0 … len(rows) - 1; None for plain sampling.
            progress: called with (steps done, total).
            watch: called with each moment, before the first step and after every step.

        Raises:
            InputError: the values overflow.
        """
        n = len(rows)
        if n > 1 and self._alone(how):
            one_by_one = self.draws(how, rows, conditions, guides, batch=1, task=task, progress=progress, watch=watch)
            return np.stack(list(one_by_one))
        at = self.fill(n, how)
        batch_task = PLAIN if task is None else task(at)
        cond = self.cond(conditions, at, how)
        if cond is not None and guides.between is not None:
            cond = replace(cond, between=self.cond(guides.between, at, how))
        cond = batch_task.condition(cond)
        between = cond is not None and cond.between is not None
        direction = None if guides.towards is None else guides.towards(at)
        denoise = self.denoiser(how, guides, direction, batch_task, between=between)
        grid, solver = batch_task.levels or self.grid(how), self.solver(how, direction)
        randn = self.noise([rows[i] for i in at], self._size(how))
        x = batch_task.begin(grid[0], randn)
        choice = threads().choice((len(at), self._size(how), how.guidance_scale), WINDOW)
        for moment in threads().each(follow(denoise, solver, grid, x, randn, cond, batch_task.constraint), choice):
            x = moment.x
            if watch is not None:
                watch(moment._replace(x=x[:n], x0=moment.x0[:n]))
            if moment.number:
                progress(moment.number, moment.of)
        x = batch_task.finish(x)[:n]
        if not finite(x):
            raise InputError(
                "diverged",
                f"{how.solver.name} ends in values that are not finite, of which no image can be made; use another "
                "--solver, more --steps, or --precision fp32",
            )
        return self.decoded(x)

    def draws(
        self,
        how: SamplingConfig,
        rows: Sequence[Row],
        conditions: Conditions | None = None,
        guides: Guides = UNGUIDED,
        *,
        batch: int = 64,
        progress: Progress = silent,
        watch: Callable[[Moment], None] | None = None,
        task: Tasks | None = None,
    ) -> Iterator[Pixels]:
        """Yield images one by one, (H, W, C) uint8, sampled in batches; see :meth:`draw`.

        Args:
            task: the tasks of all images, by their positions in ``rows``.
        """
        total = -(-len(rows) // batch)
        for number in range(total):
            part = slice(number * batch, (number + 1) * batch)
            yield from self.draw(
                how,
                rows[part],
                None if conditions is None else select(conditions, part),
                guides.rows(part),
                task=None if task is None else _from(task, number * batch),
                progress=among(progress, number, total),
                watch=watch,
            )

    def denoiser(
        self,
        how: SamplingConfig,
        guides: Guides = UNGUIDED,
        direction: Direction | None = None,
        task: Task = PLAIN,
        *,
        between: bool = False,
    ) -> Denoiser:
        """Build the model's denoiser: guided, in windows for larger images, and clipped.

        Args:
            direction: the direction of a classifier for the rows of the batch.
            task: what is applied before and after clipping.
            between: whether guidance leads through conditions in between.
        """
        # computed in a full batch, so that the row is rounded as the others are
        away = None if guides.away is None else self._one(guides.away)
        ask, weak, scales = self.parameterisation, guides.weak, guides.scales
        denoise = build.build_guided(how, self.model, ask, away, weak, direction, scales, between=between)
        if self.windows(how) > 1:
            denoise = Windows(denoise, self._window(how), OVERLAP)
        return task.after_clipping(build.build_clipped(how, task.before_clipping(denoise)))

    def cond(self, conditions: Conditions | None, at: list[int], how: SamplingConfig | None = None) -> Cond | None:
        """Encode the conditions of the images at these positions, which may repeat; None for an unconditional model.

        Args:
            how: settings that may give further conditions.
        """
        index = torch.tensor(at, device=self.device)
        given = {kind: raw.to(self.device)[index] for kind, raw in (conditions or {}).items()}
        if how is not None:
            given = {**self.absent(how, len(at), given), **self.given(how, len(at)), **given}
        return self.model.cond(given, len(at))

    def absent(self, how: SamplingConfig, n: int, given: Conditions) -> Conditions:
        """Return the raw conditions of n images of which nothing is known, for kinds that have such a condition."""
        height, width = (side * self.factor for side in self._size(how))
        found = {}
        for kind, conditioner in self.model.conditioners.items():
            if kind not in given and isinstance(conditioner, Absent):
                one = conditioner.absent(self.codec.encode, (height, width), self.device)
                found[kind] = one.expand(n, *one.shape[1:])
        return found

    def given(self, how: SamplingConfig, n: int) -> Conditions:
        """Return the raw conditions of n images that the settings give, of the kinds that the model has."""
        values = {kind: torch.as_tensor(value, device=self.device) for kind, value in how.conditions.items()}
        return {kind: raw.expand(n, *raw.shape) for kind, raw in values.items() if kind in self.model.conditioners}

    def noise(self, rows: Sequence[Row], size: tuple[int, int] | None = None, purpose: str = "image") -> SampleNoise:
        """Make the noise of x of size (H, W); the training size if None. Different purposes have different noise."""
        return SampleNoise(rows, (self.shape[0], *(size or self.shape[1:])), self.device, purpose)

    def encoded(self, pixels: Pixels) -> torch.Tensor:
        """Encode stored images (B, H, W, C) uint8 as x0, (B, C, H, W)."""
        return self.codec.encode(torch.from_numpy(pixels).to(self.device))

    def decoded(self, x: torch.Tensor) -> Pixels:
        """Decode x0 (B, C, H, W) to images, (B, H, W, C) uint8."""
        pixels: Pixels = self.codec.decode(x).cpu().numpy()
        return pixels

    def grid(self, how: SamplingConfig) -> list[Level]:
        """Return the levels to visit."""
        return build.build_grid(how, self.schedule)

    def solver(self, how: SamplingConfig, direction: Direction | None = None) -> Solver:
        """Build the solver, whose mean a classifier's direction may shift."""
        return build.build_solver(how, self.schedule, direction, self.variance)

    @torch.no_grad()
    def invert(
        self,
        how: SamplingConfig,
        x0: torch.Tensor,
        conditions: Conditions | None = None,
        progress: Progress = silent,
    ) -> torch.Tensor:
        """Invert images x0 (B, C, H, W) to the noise, shaped alike, from which a deterministic solver samples them."""
        n = len(x0)
        if n > 1 and self._alone(how):
            each = [slice(i, i + 1) for i in range(n)]
            given = [None if conditions is None else select(conditions, one) for one in each]
            parts = zip(each, given, strict=True)
            return torch.cat([self.invert(how, x0[i], c, among(progress, i.start, n)) for i, c in parts])
        at, x = self.fill(n, how), x0
        cond, x = self.cond(conditions, at, how), x0[at]
        for step in inversion(self.denoiser(how), self.solver(how), self.grid(how), x, cond):
            x = step.x
            progress(step.number, how.steps)
        return x[:n]

    def windows(self, how: SamplingConfig) -> int:
        """Count the windows each image is drawn in; 1 if drawn at once."""
        if how.area is None or how.area.whole:
            return 1
        return prod(len(starts(n, own, OVERLAP)) for n, own in zip(self._size(how), self._window(how), strict=True))

    def fill(self, n: int, how: SamplingConfig | None = None) -> list[int]:
        """Return positions 0 … n - 1, the last one repeated to fill up a batch too small for reproducible rounding."""
        if self.device.type != "cpu" or (how is not None and self._alone(how)):
            return list(range(n))
        return filled(n, 1 if how is None else self.windows(how))

    def _alone(self, how: SamplingConfig) -> bool:
        """Check whether images are drawn one by one, unfilled: by a large network, or if larger than in training."""
        if how.area is not None and how.area.whole and prod(self._size(how)) > prod(self.shape[1:]):
            return True
        return self.device.type == "cpu" and self.windows(how) == 1 and large(self.model, prod(self.shape[1:]))

    def _window(self, how: SamplingConfig) -> tuple[int, int]:
        """Return the size (H, W) of a window: the training size of x, limited to its size here."""
        height, width = map(min, self._size(how), self.shape[1:])
        return height, width

    def _size(self, how: SamplingConfig) -> tuple[int, int]:
        """Return the size (H, W) of x."""
        height, width = self.shape[1:] if how.area is None else (n // self.factor for n in how.area.size)
        return height, width

    def _one(self, conditions: Conditions) -> Cond | None:
        """Encode the conditions of one row, computed in a full batch."""
        cond = self.cond(conditions, [0] * len(self.fill(1)))
        return None if cond is None else cond.rows(slice(0, 1))


def _from(task: Tasks, first: int) -> Tasks:
    return lambda at: task([first + i for i in at])
