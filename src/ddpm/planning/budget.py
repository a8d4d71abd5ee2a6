"""How long to train: a number of images, or a time that is turned into one by measuring the speed."""

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
"""Share of a budget of time kept for previews, checkpoints and what a short measurement misses."""


@dataclass(frozen=True)
class Budget:
    """A budget of time.

    Attributes:
        seconds: in all.
        began: ``time.monotonic()`` at its start: planning counts, too.
    """

    seconds: float
    began: float

    def images(self, speed: float, cost: Callable[[int], float] = lambda images: 0.0) -> float:
        """How many images a model of this speed, in images a second, can still be trained on.

        Args:
            cost: of everything else, for so many images, in images that could be trained on in that time.
        """
        # by the main process's clock, as every process must decide by the same number
        left = [self.seconds - (time.monotonic() - self.began) - SPARE * self.seconds]
        broadcast_object_list(left)
        images = speed * left[0]
        return images - cost(max(1, int(images)))

    def steps(self, images: float, batch: int) -> int:
        """So many images in whole steps, at least one.

        Raises:
            InputError: no time is left.
        """
        if images <= 0:
            raise InputError(
                "invalid", f"{self.seconds:.0f} s are over before training can start; give more time by --for"
            )
        return max(1, int(images / batch))


def speed_of(job: Job, accelerator: Accelerator) -> float:
    """Images a second over all processes, measured on a few steps of the real thing. The job's model is spent."""
    trainer = Trainer(job.model, job.objective, job.settings, accelerator)
    rank, world = accelerator.process_index, accelerator.num_processes
    batch = Steps(job.data, job.settings.batch, job.settings.seed, job.settings.flip, rank, world)[0]
    step = seconds_a_step(trainer, batch, 1.0)
    accelerator.free_memory()
    speeds = [job.settings.batch / step]
    broadcast_object_list(speeds)
    return speeds[0]
