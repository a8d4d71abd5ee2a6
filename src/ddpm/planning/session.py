"""Train a run on images: start or resume it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from ddpm.data.arrays import array_source, open_npz, save_npz
from ddpm.data.cache import prepare_as
from ddpm.data.dataset import Dataset
from ddpm.data.open import reopen_source
from ddpm.data.pairs import with_low_as
from ddpm.engine.codec import open_codec
from ddpm.planning import plan
from ddpm.planning.data import gather, notes
from ddpm.planning.follow import say
from ddpm.planning.longer import longer, rate_line
from ddpm.planning.reopen import reopen
from ddpm.planning.request import Request
from ddpm.planning.training import Command, OpenedRun, accelerator_of, refuse_filled, refuse_others
from ddpm.records.card import lengthen
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar
from ddpm.system.errors import InputError
from ddpm.system.lock import exclusive
from ddpm.training.job import Job
from ddpm.training.trainer import refuse_undivided

MAY_CHANGE = {"workers", "shard", "micro_batch"}
"""Flags that may change when a run is resumed: they affect its weights only by rounding, and what dropout drops."""


@dataclass(frozen=True)
class Session:
    """A training session, which starts a run or resumes it.

    Attributes:
        data: a path, "digits", or images in memory, which are stored in the run folder.
        given: the given flags of ``ddpm train``, by name; see :meth:`Request.of`.
        command: where and how to train.
        began: ``time.monotonic()`` at the start.
    """

    data: str | Dataset
    given: Mapping[str, Any]
    command: Command
    began: float = field(default_factory=time.monotonic)

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.command.out

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.out)

    @property
    def source(self) -> str:
        """The source of the images."""
        return self.data if isinstance(self.data, str) else str(self.folder.images)

    @property
    def asked(self) -> dict[str, Any]:
        """The flags to record."""
        return {flag: value for flag, value in self.given.items() if flag not in MAY_CHANGE}

    def run(self) -> None:
        """Start or resume the run, and train it to the end.

        Raises:
            InputError: an input is invalid, or the run was started with other flags.
            Diverged, Interrupted: see :func:`~ddpm.planning.follow.follow`.
        """
        self.command.run(self._start, self._reopen)

    def _reopen(self) -> OpenedRun:
        if self.folder.is_autoencoder:
            raise InputError("exists", f"{self.out} already exists and is an autoencoder; choose another --out")
        config = self.folder.config()
        data = config.data
        if config.distillation is not None:
            raise InputError("incompatible", f"{self.out} is a {config.student}; resume it with `ddpm distill`")
        before, config = config, longer(config, self.asked, self.out)
        self.refuse_changes(data.source, config.request)
        accelerator = accelerator_of(self.command.device, config.training.precision)
        self.store(accelerator)
        source = reopen_source(data)
        with accelerator.main_process_first():
            dataset = with_low_as(prepare_as(source, data), config)
        codec = open_codec(self.folder, config, accelerator.device)
        with bar("encoding") as progress:
            job = reopen(config, self.out, dataset, accelerator, codec, progress)
        job = self.with_changes(job)
        refuse_undivided(job.objective, job.settings, accelerator.num_processes)
        if config.training.steps > before.training.steps:
            say(accelerator, rate_line(before, config))
        if config != before and accelerator.is_main_process and not self.command.dry_run:
            with exclusive(self.out):
                lengthen(self.folder, config)
        return self.command.resumed(config, job, accelerator)

    def _start(self) -> OpenedRun:
        request = Request.of(self.source, self.given)
        accelerator = accelerator_of(self.command.device, self.given.get("precision"))
        refuse_filled(self.out, None if isinstance(self.data, str) else self.folder.images)
        self.store(accelerator)
        with accelerator.main_process_first(), bar("reading") as progress:
            found, dataset = gather(request, progress)
        for line in notes(found, dataset):
            say(accelerator, f"note: {line}")
        with bar("preparing") as progress:
            made = plan.make(
                request,
                self.out,
                dataset,
                accelerator,
                asked=self.asked,
                began=self.began,
                say=lambda line: say(accelerator, line),
                progress=progress,
            )
        return self.command.begun(made, accelerator)

    def refuse_changes(self, source: str, request: Mapping[str, Any]) -> None:
        """Refuse to resume a run that was started on other images, or with other flags.

        Raises:
            InputError: it was.
        """
        if source != self.source:
            raise InputError(
                "incompatible", f"{self.out} was trained on {source}, not {self.source}; choose another --out"
            )
        refuse_others(self.out, self.asked, request, "choose another --out")

    def with_changes(self, job: Job) -> Job:
        """The job of a resumed run with the flags that ``MAY_CHANGE``.

        Raises:
            InputError: the value is invalid.
        """
        for flag in sorted(MAY_CHANGE & self.given.keys()):
            try:
                job = replace(job, settings=replace(job.settings, **{flag: self.given[flag]}))
            except ValueError as e:
                raise InputError("invalid", f"--{flag.replace('_', '-')}: {e}") from e
        return job

    def store(self, accelerator: Accelerator) -> None:
        """Store images given in memory, once."""
        data, path = self.data, self.folder.images
        if isinstance(data, str):
            return
        with accelerator.main_process_first():
            if not path.exists():
                save_npz(data, path)
                return
            labels = None if data.labels is None else np.asarray(data.labels)
            if open_npz(path).key != array_source(data.images, labels, data.classes, data.captions).key:
                raise InputError(
                    "incompatible",
                    f"{path} holds images, labels or captions other than the given ones; choose another --out",
                )
