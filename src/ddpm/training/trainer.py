"""One optimiser step: the loss, its gradient, the update."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from ddpm.config.training import TrainSettings
from ddpm.core.condition import Conditions, select
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import RowStreams
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.objective import Draws, Objective
from ddpm.system.errors import InputError
from ddpm.training.checkpoint import Checkpoint, load_into
from ddpm.training.ema import EMA
from ddpm.training.optimizer import create_moments, make_optimizer
from ddpm.training.power_average import PowerAverages
from ddpm.training.rate import learning_rate
from ddpm.training.sharding import exchange, gathered, shard, whole


class StepReport(NamedTuple):
    """The result of a step.

    Attributes:
        loss: the sum over this process's images, a tensor on the device.
        grad_norm: the norm of the gradient before clipping, over all processes.
        skipped: whether the update was skipped because the gradient was not finite.
    """

    loss: torch.Tensor
    grad_norm: float
    skipped: bool


class _Losses(nn.Module):
    """The model and its loss as one module with one forward pass, as distributed training requires."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        return self.objective.losses(self.model, images, conditions, draws)


def refuse_undivided(objective: Objective, settings: TrainSettings, world: int) -> None:
    """Refuse what cannot be divided among this many processes.

    Raises:
        InputError: the batch, or with ``shard`` the weights, cannot.
    """
    batch, sharded = settings.batch, settings.shard and world > 1
    if batch < world:
        raise InputError(
            "invalid",
            f"a batch of {batch} cannot be divided among {world} processes; use a --batch of at least {world}, or "
            "fewer processes",
        )
    if sharded and not isinstance(objective, Denoising):
        raise InputError("conflict", "only the training of a diffusion model can divide its weights; drop --shard")
    if sharded and batch % world:
        raise InputError(
            "invalid",
            f"with --shard, each process needs as many images, but {world} processes do not divide a batch of "
            f"{batch}; use a multiple of {world}",
        )


class Trainer:
    """A trainer with the weights, their average and the optimiser.

    Attributes:
        model: the weights, on ``accelerator.device``.
        ema: their moving average; see :meth:`averaged`.
        averages: their averages for any length after training; None if the settings save none.
        history: the past losses, if levels are sampled by these.
        skipped: the number of steps skipped because their gradient was not finite.
        sharded: whether weights, gradients, moments and averages are divided among several processes.
    """

    def __init__(self, model: Model, objective: Objective, settings: TrainSettings, accelerator: Accelerator) -> None:
        """Prepare all attributes for the first step.

        Raises:
            InputError: the batch or the weights cannot be divided among the processes.
        """
        world, device = accelerator.num_processes, accelerator.device
        refuse_undivided(objective, settings, world)
        self.objective, self.settings, self.accelerator = objective, settings, accelerator
        self.sharded = settings.shard and world > 1
        layout = torch.contiguous_format if self.sharded else model.layout
        # the average of weights that are divided is never on the device with them
        model.to("cpu" if self.sharded else device, memory_format=layout)  # type: ignore[call-overload]
        self.ema = EMA(model, settings.ema)
        self.model = model.to(device)
        self._module: nn.Module = _Losses(self.model, objective)
        if self.sharded:
            shard(self._module, self.model.net, device)
            self.ema.divide(self.model.parameters(), accelerator.is_main_process)
        self.averages = PowerAverages(self.model, settings.steps) if settings.averages else None
        self.history = objective.history()
        self.skipped = 0
        self._optimizer = accelerator.prepare(make_optimizer(self.model, settings, device))
        if self.sharded:  # only autocast
            self._module = accelerator.prepare_model(self._module, device_placement=False, evaluation_mode=True)
        else:
            self._module = accelerator.prepare(self._module)

    def step(self, number: int, images: torch.Tensor, conditions: Conditions) -> StepReport:
        """Take optimiser step ``number`` = 0, 1, … on this process's part of the global batch.

        Args:
            images: as the data set stores them, (b, …).
            conditions: raw, by kind, each (b, …).
        """
        s, device = self.settings, self.accelerator.device
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        images, conditions = images.to(device), {kind: raw.to(device) for kind, raw in conditions.items()}
        # every process draws for the whole batch and takes its part, so that the split of a batch changes nothing
        all_draws = self.objective.draws(RowStreams(s.seed, number, s.batch, range(s.batch)), self.history)
        own = slice(rank * s.batch // world, (rank + 1) * s.batch // world)
        draws = all_draws.part(own)
        torch.manual_seed(derive(s.seed, "dropout", number, rank))

        seen = []
        weights = draws.weights.to(device, torch.float32)
        parts = [slice(i, min(i + s.micro_batch, len(images))) for i in range(0, len(images), s.micro_batch)]
        for part in parts:
            with self._synchronised(part is parts[-1]):
                losses = self._module(images[part], select(conditions, part), draws.part(part))
                # gradients are averaged over processes: this makes it the mean over all images
                self.accelerator.backward((losses * weights[part]).sum() * (world / s.batch))
            seen.append(losses.detach())
        losses = torch.cat(seen)
        report = self._update(number, (losses * weights).sum())
        if self.history is not None and not report.skipped:
            self.history.add(all_draws.timesteps, self._gathered(losses, own))
        return report

    def _synchronised(self, last: bool) -> AbstractContextManager[None]:
        """The context of a part of a step: gradients are exchanged with other processes only in the last one."""
        if self.sharded:
            exchange(self._module, last)
            return nullcontext()
        return nullcontext() if last else self.accelerator.no_sync(self._module)

    def _gathered(self, losses: torch.Tensor, own: slice) -> torch.Tensor:
        """Gather the losses of the whole global batch, (batch,) float64 on the CPU; the same in every process."""
        everyone = torch.zeros(self.settings.batch, device=losses.device)
        everyone[own] = losses.float()
        if self.accelerator.num_processes > 1:  # other processes' entries are zero: the sum is exact
            everyone = self.accelerator.reduce(everyone, "sum")
        return everyone.cpu().double()

    def _update(self, number: int, total: torch.Tensor) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, number)
        norm = float(whole(self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)))
        finite = math.isfinite(norm)
        if finite or self.accelerator.scaler is not None:  # a scaler must see overflows, to lower its scale
            self._optimizer.step()
        self._optimizer.zero_grad()
        skipped = not finite or self._optimizer.step_was_skipped
        if skipped:
            self.skipped += 1
        else:
            self.ema.update(self.model.parameters())
        if self.averages is not None:
            self.averages.update(number + 1)
        return StepReport(total, norm, skipped)

    def state(self, step: int) -> Checkpoint:
        """Return everything that the next step depends on, after ``step`` steps.

        All processes must call this together. If the weights are sharded, only the main one gets the tensors.
        """
        state: dict[str, Any] = {"skipped": self.skipped, "ema_updates": self.ema.updates}
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        tensors = {
            "model": dict(self.model.state_dict()),
            "ema": self.ema.tensors(),
            "optimizer": self._moments(),
        }
        if self.averages is not None:
            tensors["averages"] = self.averages.tensors()
        if self.history is not None:
            tensors["levels"] = self.history.tensors()
        main = self.accelerator.is_main_process
        return Checkpoint(step, {stem: gathered(group, main) for stem, group in tensors.items()}, state)

    @contextmanager
    def averaged(self) -> Iterator[Model]:
        """The averaged model, on the device, for the main process; all processes must enter together."""
        main = self.accelerator.is_main_process
        if self.sharded:
            self.ema.gather(main)
            if main:
                self.ema.model.to(self.accelerator.device)
        yield self.ema.model
        if self.sharded and main:
            self.ema.model.to("cpu")

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint.

        Raises:
            InputError: the checkpoint belongs to another model, or is incomplete.
        """
        what = f"the checkpoint of step {checkpoint.step}"
        create_moments(self._optimizer)
        load_into(self.model.state_dict(), checkpoint.tensors.get("model", {}), what)
        load_into(self.ema.tensors(), checkpoint.tensors.get("ema", {}), what)
        load_into(self._moments(), checkpoint.tensors.get("optimizer", {}), what)
        if self.averages is not None:
            load_into(self.averages.tensors(), checkpoint.tensors.get("averages", {}), what)
        if self.history is not None:
            load_into(self.history.tensors(), checkpoint.tensors.get("levels", {}), what)
        self.skipped = checkpoint.state["skipped"]
        self.ema.updates = checkpoint.state["ema_updates"]
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(checkpoint.state["scaler"])

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo the steps that are taken in the block."""
        if not self._optimizer.state:
            create_moments(self._optimizer)
        before = self.state(0)
        kept = {stem: {name: t.detach().clone() for name, t in group.items()} for stem, group in before.tensors.items()}
        yield
        self.restore(replace(before, tensors=kept))

    def _moments(self) -> dict[str, torch.Tensor]:
        """Return the optimiser's tensors by parameter, such as "exp_avg.net.conv_in.weight"."""
        moments = self._optimizer.state
        return {f"{key}.{name}": t for name, p in self.model.named_parameters() for key, t in moments[p].items()}
