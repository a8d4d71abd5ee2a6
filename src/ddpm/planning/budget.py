"""How long to train: a number of images, or a time converted to one by measuring the speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ddpm.data.loader import Steps
from ddpm.system.errors import InputError
from ddpm.training.loop import Job
from ddpm.training.measure import seconds_a_step
from ddpm.training.trainer import Trainer

SPARE = 0.04
"""Share of a time budget reserved for previews, checkpoints and the error of a short measurement."""


@dataclass(frozen=True)
class Budget:
    """A time budget.

    Attributes:
        seconds: the total.
        began: ``time.monotonic()`` at its start; planning counts too.
    """

    seconds: float
    began: float

    def images(self, speed: float, cost: Callable[[int], float] = lambda images: 0.0) -> float:
        """The number of images that fit in the remaining time at a speed in images per second.

        Args:
            cost: of everything else in a run on this many images, in images trained in the same time.
        """
        # by the main process's clock, as all processes must agree
        left = [self.seconds - (time.monotonic() - self.began) - SPARE * self.seconds]
        broadcast_object_list(left)
        images = speed * left[0]
        return images - cost(max(1, int(images)))

    def steps(self, images: float, batch: int) -> int:
        """The number of whole steps for a number of images, at least one.

        Raises:
            InputError: no time is left.
        """
        if images <= 0:
            raise InputError(
                "invalid", f"a budget of {self.seconds:.0f} s ends before training starts; use a longer --for"
            )
        return max(1, int(images / batch))


def speed_of(job: Job, accelerator: Accelerator) -> float:
    """Images per second over all processes, measured on a few real steps. The job's model is altered."""
    trainer = Trainer(job.model, job.objective, job.settings, accelerator)
    rank, world = accelerator.process_index, accelerator.num_processes
    batch = Steps(job.data, job.settings.batch, job.settings.seed, job.settings.flip, rank, world)[0]
    step = seconds_a_step(trainer, batch, 1.0)
    accelerator.free_memory()
    speeds = [job.settings.batch / step]
    broadcast_object_list(speeds)
    return speeds[0]
