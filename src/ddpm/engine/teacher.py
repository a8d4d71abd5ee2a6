"""A run as the teacher of a student with few steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from ddpm.config.sampling import SamplingConfig
from ddpm.core import Denoiser, Level
from ddpm.core.condition import Conditions
from ddpm.engine.guides import Guides
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.sampling import no_noise, steps


@dataclass(frozen=True)
class Teacher:
    """The many-step trajectory of a run, guided and clipped, at the levels of a student, and its single estimates.

    Attributes:
        run: the run.
        how: its settings, with a deterministic solver.
        levels: the levels at which to return x, chosen from those that it visits after the first.
    """

    run: LoadedRun
    how: SamplingConfig
    levels: Sequence[Level] = ()

    def __call__(self, x: torch.Tensor, conditions: Conditions) -> Iterator[torch.Tensor]:
        """Yield x at each of the levels, from x (B, C, *space) at the first level of the settings' grid.

        Each image has the guidance scale of the condition "guidance", if there is one.
        """
        engine = self.run.engine
        cond = engine.cond(conditions, list(range(len(x))))
        denoise = self._denoiser(conditions.get("guidance"))
        for step in steps(denoise, engine.solver(self.how), engine.grid(self.how), x, no_noise, cond):
            if step.level in self.levels:
                yield step.x

    def estimate(self, x: torch.Tensor, level: Level, conditions: Conditions) -> torch.Tensor:
        """The guided and clipped x0 of x (B, C, *space) at a level, which may differ between images."""
        with torch.no_grad():
            cond = self.run.engine.cond(conditions, list(range(len(x))))
            return self._denoiser(conditions.get("guidance"))(x, level, cond).x0

    def _denoiser(self, scales: torch.Tensor | None) -> Denoiser:
        with torch.no_grad():
            return self.run.engine.denoiser(self.how, replace(self._guides, scales=scales))

    @cached_property
    def _guides(self) -> Guides:
        # any label or prompt will do: guides depend only on whether there are some
        run = self.run
        labels, prompts = (0,) if run.learned_labels else None, ("",) if run.text is not None else None
        return run.guides(self.how, Subjects(labels, prompts))
