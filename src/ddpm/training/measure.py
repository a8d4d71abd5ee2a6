"""The cost of a training step, before a run starts: time by measuring, memory by counting."""

import os
import sys
from typing import NamedTuple

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from torch.autograd.graph import saved_tensors_hooks

from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.data.loader import Batch, batch_of
from ddpm.objectives.objective import Objective, Staged
from ddpm.system.threads import TRIAL, Choice, threads
from ddpm.training.power_average import TRACKED
from ddpm.training.trainer import Trainer, refuse_undivided


def pace(accelerator: Accelerator, prefer: int | None = None, trial: float = TRIAL) -> Choice:
    """The choice of the number of threads for training: PyTorch's own on a GPU and in several processes.

    Args:
        prefer: the number used so far, if there is one.
    """
    counts = threads().counts
    if accelerator.device.type != "cpu" or accelerator.num_processes > 1:
        return Choice(counts[:1], trial=trial)
    return Choice(sorted(counts, key=lambda count: count != prefer), trial=trial)


def seconds_a_step(trainer: Trainer, batch: Batch, seconds: float) -> float:
    """Measure the time of a step on one batch for about ``seconds``, with the number of threads that is fastest.

    Do not use the trainer afterwards.
    """
    choice = pace(trainer.accelerator, trial=seconds / len(threads().counts))
    try_out(choice, trainer, batch)
    return choice.seconds


def try_out(choice: Choice, trainer: Trainer, batch: Batch, number: int = 0) -> None:
    """Take a step again and again until the number of threads is chosen."""
    while choice.choosing:
        with threads().timed(choice):
            trainer.step(number, batch.images, batch.conditions)
            _wait(trainer.accelerator.device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Memory(NamedTuple):
    """The memory that training takes on one device, in bytes.

    Attributes:
        fixed: weights, gradients, moments and average, independent of the batch.
        per_image: activations kept for the gradient, for each image of a micro-batch.
    """

    fixed: int
    per_image: int

    def peak(self, micro_batch: int) -> int:
        """Return the peak memory of a step: what is kept and a fifth more for temporary buffers."""
        return int(1.2 * (self.fixed + micro_batch * self.per_image))

    def fitting(self, available: int, batch: int) -> int:
        """Return the largest micro-batch that fits, halving a process's ``batch`` as often as needed; at least 1."""
        micro = batch
        while micro > 1 and self.peak(micro) > available:
            micro = -(-micro // 2)
        return micro


def memory(
    model: Model, objective: Objective, settings: TrainSettings, data: Dataset, accelerator: Accelerator
) -> Memory:
    """Count the memory that the forward pass of a step keeps for its gradient, on two images of the data.

    Exact for kept tensors, on any device, without running out of memory.

    Raises:
        InputError: the processes cannot divide the batch or the weights.
    """
    refuse_undivided(objective, settings, accelerator.num_processes)
    numel = sum(p.numel() for p in model.parameters())
    half = 0 if settings.precision == "fp32" else 2
    # float32 weights, gradients, two moments and the averages, and the weights in half precision
    averages = 1 + (len(TRACKED) if settings.averages else 0)
    fixed = numel * ((4 + averages) * 4 + half) // (accelerator.num_processes if settings.shard else 1)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(t: torch.Tensor) -> torch.Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(t)  # so that no address is reused
        return t

    alive: list[torch.Tensor] = []
    n, device = 2, accelerator.device
    batch = batch_of(data, np.arange(n) % len(data))
    conditions = {kind: raw.to(device) for kind, raw in batch.conditions.items()}
    stages = [stage for _, stage in objective.parts] if isinstance(objective, Staged) else [objective]
    counted = []
    for stage in stages:
        draws = stage.draws(RowStreams(settings.seed, 0, n, range(n)), stage.history())
        with saved_tensors_hooks(keep, lambda t: t), accelerator.autocast():
            stage.losses(model, batch.images.to(device), conditions, draws).sum()
        counted.append(sum(kept.values()))
        kept.clear()
        alive.clear()
    # the casts of the weights are kept too, once for all images
    casts = numel * half
    return Memory(fixed, max(1, (max(counted) - casts) // n))


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory of this process so far: on a GPU that allocated by torch, else the resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", 0)) or _resident_peak()


def _resident_peak() -> int:
    import resource  # not on Windows

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def available_bytes(device: torch.device) -> int:
    """Return 90 % of the free memory on the device: what every process of a distributed run can have."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:  # shared by the processes of this machine
        free = psutil.virtual_memory().available // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        least = torch.tensor(free, device=device)
        torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN)
        free = int(least)
    return int(0.9 * free)
