"""Averages of loss and speed between two lines of the log."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from ddpm.config.training import TrainSettings
from ddpm.data.loader import Batches


class Meter:
    """A meter that accumulates steps until a line is read."""

    def __init__(self, accelerator: Accelerator, settings: TrainSettings) -> None:
        self.accelerator, self.settings = accelerator, settings
        self._rate = 0.0
        self._restart()

    def _restart(self) -> None:
        self._loss: torch.Tensor | float = 0.0
        self._finite = self._steps = 0
        self._norm = 0.0
        self._began = time.perf_counter()

    def sums(self) -> dict[str, float]:
        """The sums for the next line of the log over all processes, which must call this together."""
        return {"finite": self._finite, "loss": self._total(), "norm": self._norm}

    def restore(self, sums: Mapping[str, float]) -> None:
        """Continue from the sums of an interrupted run, so that its log has the lines of an uninterrupted one."""
        self._finite, self._norm = int(sums["finite"]), sums["norm"]
        self._loss = sums["loss"] if self.accelerator.is_main_process else 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude this time from the speed. Nothing else changes, so that logged losses do not depend on pauses."""
        began = time.perf_counter()
        yield
        self._began += time.perf_counter() - began

    def add(self, norm: float, loss: torch.Tensor, skipped: bool) -> None:
        self._steps += 1
        if not skipped:
            self._finite += 1
            self._loss = self._loss + loss
            self._norm += norm

    def read(self, done: int, batches: Batches, skipped: int) -> dict[str, float | None]:
        """Return the values of a line over all processes since the previous one, and reset."""
        s = self.settings
        took = max(time.perf_counter() - self._began, 1e-9)
        if self._steps:
            self._rate = self._steps * s.batch / took
        waited = batches.waited
        values = {
            "loss": self._total() / (self._finite * s.batch) if self._finite else None,
            "grad_norm": self._norm / self._finite if self._finite else None,
            "images_per_s": self._rate,
            "waiting": min(1.0, max(0.0, waited / took)) if self._steps else 0.0,
            "eta_s": (s.steps - done) * s.batch / self._rate if self._rate else None,
            "skipped": skipped,
        }
        batches.waited = 0.0
        self._restart()
        return values

    def _total(self) -> float:
        """The sum of all losses over all processes."""
        return float(self.accelerator.reduce(torch.as_tensor(self._loss, device=self.accelerator.device), "sum"))
