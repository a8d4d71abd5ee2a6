"""Train a classifier of a run's noised images: start it or resume it, and measure it at the end."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ddpm.config.classifier import ClassifierConfig
from ddpm.core.level import Level, noise_to_signal
from ddpm.data.dataset import Dataset
from ddpm.engine.classifier import Classifier, load
from ddpm.planning.classifier import make, reopen
from ddpm.planning.follow import follow, say
from ddpm.planning.request import refuse_two_budgets
from ddpm.planning.training import accelerator_of, claimed, refuse_others
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.training.job import Job

AccuracyOf = Callable[[Classifier, Dataset, torch.device], Iterable[tuple[int, Level, float]]]
"""Measures a finished classifier by level: see :func:`ddpm.evaluation.classifier.by_level`."""


@dataclass(frozen=True)
class ClassifierSession:
    """A training session of a classifier, which starts it or resumes it.

    Attributes:
        path: the run folder whose images it classifies.
        given: the given flags of ``ddpm train-classifier``, by name.
        accuracy_of: measures it at the end.
        device: "cpu", or None for the best available.
        began: ``time.monotonic()`` at the start.
    """

    path: Path
    given: Mapping[str, Any]
    accuracy_of: AccuracyOf
    device: str | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> RunFolder:
        """The classifier's own folder."""
        return RunFolder(RunFolder(self.path).classifier)

    def run(self) -> None:
        """Start or resume the classifier, train it to the end and measure it.

        Raises:
            InputError: an input is invalid, or the classifier was started with other flags.
            Diverged, Interrupted: see :func:`~ddpm.planning.follow.follow`.
        """
        refuse_two_budgets(self.given)
        if RunFolder.open(self.path).checkpoint is not None:
            raise InputError(
                "invalid", f"{self.path} is a checkpoint; use the run folder: its classifier guides all checkpoints"
            )
        job, accelerator = self._reopen() if self.folder.config_file.exists() else self._start()
        follow(job, accelerator)
        if accelerator.is_main_process:
            self._measure(job, accelerator)

    def _reopen(self) -> tuple[Job, Accelerator]:
        out, config = self.folder.path, ClassifierConfig.read(self.folder.config_file)
        if "import" in config.request:
            raise InputError("exists", f"{out} was imported, and is not trained here; remove it to train another")
        refuse_others(out, self.given, config.request, f"remove {out} to start over")
        accelerator = accelerator_of(self.device, config.training.precision)
        job = reopen(config, self.path, accelerator)
        say(accelerator, f"resuming {out}")
        return job, accelerator

    def _start(self) -> tuple[Job, Accelerator]:
        accelerator = accelerator_of(self.device, self.given.get("precision"))
        config, job = make(self.path, self.given, accelerator, began=self.began, say=partial(say, accelerator))
        weights = sum(p.numel() for p in job.model.parameters())
        many = f"{config.data.images:,} images in {len(config.data.classes)} classes, {config.data.held_out} held out"
        say(accelerator, f"classifier    {config.network.describe()}, {weights / 1e6:.1f} M parameters; {many}")
        if accelerator.is_main_process:
            with claimed(self.folder):
                config.write(self.folder.config_file)
        accelerator.wait_for_everyone()
        return job, accelerator

    def _measure(self, job: Job, accelerator: Accelerator) -> None:
        """Print the classifier's accuracy on held-out images, by noise level."""
        run = RunFolder(self.path)
        classifier = load(run, run.config(), accelerator.device)
        say(accelerator, f"done: {job.folder}\nheld-out accuracy, {len(job.held_out)} images:")
        for timestep, level, share in self.accuracy_of(classifier, job.held_out, accelerator.device):
            noise = f"noise-to-signal ratio {noise_to_signal(level):>8.3g}"
            say(accelerator, f"  timestep {timestep:>5}, {noise}: {100 * share:5.1f} %")
        say(accelerator, f"next: {classifier.config.follow_up(self.path)}")
