"""Distilling a run into a student that samples in few steps: start or resume it."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, get_args

from ddpm.engine.loading import load
from ddpm.planning.follow import say
from ddpm.planning.progressive import FOLDER, Halving, stages
from ddpm.planning.request import budgeted
from ddpm.planning.student import images_of, job_of, make, numbers_of
from ddpm.planning.training import Command, OpenedRun, accelerator_of, refuse_filled, refuse_others
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.names import DistillationName, OptimizerName, suggest
from ddpm.system.ranges import span, spelled, whole_numbers

FLAGS = (
    *("method", "steps", "guidance", "guidance_interval", "teacher_steps", "during_training", "tuning"),
    *("batch", "optimizer", "lr", "seed", "precision"),
)
"""Flags of ``ddpm distill``, except the budget."""


def flags(budget: str | int | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert Python's keywords to the flags of ``ddpm distill``, so that a student can be resumed with either.

    Raises:
        InputError: a keyword is unknown.
    """
    if unknown := [name for name in options if name not in FLAGS]:
        raise InputError("unknown", f"unknown keyword {unknown[0]!r}{suggest(unknown[0], [*FLAGS])}")
    given = {} if budget is None else budgeted(budget)
    return given | {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True)
class Distilling:
    """A session that starts a student or resumes it.

    Attributes:
        teacher: a run or a checkpoint.
        given: the given flags of ``ddpm distill``, by name.
        command: where and how to train.
        stage: the stage of progressive distillation, if it is one.
        began: ``time.monotonic()`` at the start.
    """

    teacher: Path
    given: Mapping[str, Any]
    command: Command
    stage: Halving | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def out(self) -> Path:
        """The run folder of the student."""
        return self.command.out

    @property
    def asked(self) -> dict[str, Any]:
        """The flags to record, in the same spelling for the same request."""
        found = {**self.given}
        if "steps" in found:
            first, *others = whole_numbers("--steps", found["steps"])
            found["steps"] = spelled([first, *others]) if others else first
        if "guidance" in found:
            low, high = span("--guidance", found["guidance"])
            found["guidance"] = f"{low:g}-{high:g}" if low < high else low
        if isinstance(found.get("guidance_interval"), tuple):
            found["guidance_interval"] = list(found["guidance_interval"])  # as JSON has it
        return found

    @property
    def followed(self) -> Path:
        """The run or checkpoint that sets the targets: the teacher, or the stage before."""
        return self.stage.follows if self.stage is not None and self.stage.follows is not None else self.teacher

    def run(self) -> None:
        """Start or resume the student, and train it to its end.

        Raises:
            InputError: an input is invalid, or the student was started with other flags.
            Diverged, Interrupted: see :func:`~ddpm.planning.follow.follow`.
        """
        for name, allowed in (("method", get_args(DistillationName)), ("optimizer", get_args(OptimizerName))):
            value = self.given.get(name, allowed[0])
            if value not in allowed:
                raise InputError("unknown", f"unknown {name} {value!r}{suggest(value, [*allowed])}")
        if "tuning" in self.given and self.given.get("method") != "consistency":
            raise InputError("conflict", "--tuning requires --method consistency; add it, or drop --tuning")
        own = self._as_begun() if self.stage is None else self
        if own.stage is None and own.given.get("method") == "progressive":
            for one in own._stages():
                one.run()
        else:
            own.command.run(own._start, own._reopen)

    def _as_begun(self) -> Self:
        """This session with the flags that were given when progressive distillation was begun in the run folder.

        Raises:
            InputError: other flags are given now.
        """
        for run in map(RunFolder, (self.out, *sorted(self.out.glob(f"{FOLDER}/*")))):
            if not run.config_file.exists() or run.is_autoencoder:
                continue
            config = run.config()
            if config.distillation is not None and config.distillation.method == "progressive":
                refuse_others(self.out, self.asked, config.request, "choose another --out")
                budgets = {"for", "images"} if {"for", "images"} & self.given.keys() else set[str]()
                known = {name: value for name, value in config.request.items() if name not in budgets}
                return replace(self, given=known | dict(self.given))
        return self

    def _stages(self) -> Iterator["Distilling"]:
        """The stages to train: finished ones resume at their end, and each has its own budget."""
        found = stages(self.out, numbers_of(self.asked), self.given.get("teacher_steps"))
        if RunFolder(self.out).config_file.exists():  # the last one, which all others precede
            found = found[-1:]
        else:
            refuse_filled(self.out, self.out / FOLDER)
        for stage in found[:1] if self.command.dry_run else found:
            began = self.began if stage is found[0] else time.monotonic()
            yield replace(self, command=replace(self.command, out=stage.out), stage=stage, began=began)

    def _reopen(self) -> OpenedRun:
        folder = RunFolder(self.out)
        if folder.is_autoencoder or (config := folder.config()).distillation is None:
            raise InputError("exists", f"{self.out} already exists and is not a student; choose another --out")
        if Path(config.distillation.teacher) != self.teacher:
            raise InputError("incompatible", f"{self.out} is a {config.student}; choose another --out")
        refuse_others(self.out, self.asked, config.request, "choose another --out")
        accelerator = accelerator_of(self.command.device, config.training.precision)
        teacher = load(self.followed, accelerator.device)
        if teacher.weights != config.distillation.weights:
            raise InputError(
                "incompatible",
                f"the weights of {self.followed} changed since {self.out} was started; restore them, or choose another "
                "--out",
            )
        job = job_of(config, self.out, teacher, images_of(teacher, accelerator), accelerator)
        return self.command.resumed(config, job, accelerator)

    def _start(self) -> OpenedRun:
        accelerator = accelerator_of(self.command.device, self.given.get("precision"))
        refuse_filled(self.out, None if self.stage is None else self.out / FOLDER)
        if self.stage is not None and self.stage.follows is None:
            say(accelerator, self.stage.line)
        teacher = load(self.followed, accelerator.device)
        made = make(teacher, self.out, self.asked, accelerator, began=self.began, stage=self.stage)
        return self.command.begun(made, accelerator)
