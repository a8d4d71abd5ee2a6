"""One optimiser step: the loss, its gradient, the update."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from ddpm.codec import PixelCodec
from ddpm.conditioning import Pairs
from ddpm.config.training import TrainSettings
from ddpm.constraints import AveragePool
from ddpm.core import Level, LowResolution, Schedule
from ddpm.core.model import Model
from ddpm.core.seed import derive
from ddpm.core.stream import Stream
from ddpm.objectives import Loss
from ddpm.objectives.level_sampling import Drawn, LevelSampling
from ddpm.training.checkpoint import Checkpoint, load_into
from ddpm.training.ema import EMA
from ddpm.training.randomness import augmentation, draw, noise
from ddpm.training.rate import learning_rate


@dataclass(frozen=True)
class Problem:
    """What is learned, apart from how long and how fast.

    Attributes:
        schedule: the forward process.
        level_sampling: which of its levels the images of a step get.
        loss: of a network at those levels.
        codec: from stored images to what is diffused.
        pairs: how images are made small and enlarged, where that is what they are conditioned on.
    """

    schedule: Schedule
    level_sampling: LevelSampling
    loss: Loss
    codec: PixelCodec
    pairs: Pairs | None = None

    def levels(self, places: torch.Tensor) -> tuple[Level, Level]:
        """The levels at places (B,), and those one place cleaner."""
        return self.schedule.levels(places), self.schedule.levels((places - 1).clamp(min=0))

    def enlarged(self, x0: torch.Tensor, low: torch.Tensor | None = None) -> torch.Tensor | None:
        """What images x0 (B, C, *space) are conditioned on, (B, C, *space); None where that is nothing.

        Args:
            low: their small versions, (B, *space, C) uint8; made of them, in 8 bits, if None.
        """
        if self.pairs is None:
            return None
        stored = self.codec.decode(AveragePool(self.pairs.scale).forward(x0)) if low is None else low.to(x0.device)
        return self.pairs.enlarge(self.codec.encode(stored))


class StepReport(NamedTuple):
    """What a step saw.

    Attributes:
        loss: sum over this process's images, a tensor on the device.
        grad_norm: before clipping, over all processes.
        skipped: whether it was not finite, so that nothing was updated.
    """

    loss: torch.Tensor
    grad_norm: float
    skipped: bool


class _Losses(nn.Module):
    """All that is learned behind one forward pass, as distributed training wants it."""

    def __init__(self, model: Model, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(
        self,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level,
        labels: torch.Tensor | None,
        low: LowResolution | None,
    ) -> torch.Tensor:
        return self.loss(self.model.net, x0, eps, now, next, self.model.cond(labels, low))


class Learner:
    """Weights, their average and the optimiser, and the step that changes them.

    Attributes:
        model: the weights; on ``accelerator.device``.
        ema: their moving average.
        history: the losses by which levels are sampled, if they are.
        skipped: steps that changed nothing, as their gradient was not finite.
    """

    def __init__(self, model: Model, problem: Problem, settings: TrainSettings, accelerator: Accelerator) -> None:
        self.problem, self.settings, self.accelerator = problem, settings, accelerator
        self.layout = _memory_format(model)
        self.model = model.to(accelerator.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.ema = EMA(self.model, settings.ema)
        self.history = problem.level_sampling.history(problem.schedule.T)
        self.skipped = 0
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=accelerator.device.type in ("cpu", "cuda"),
        )
        self._module, self._optimizer = accelerator.prepare(_Losses(self.model, problem.loss), optimizer)

    def step(
        self, number: int, images: torch.Tensor, labels: torch.Tensor | None, low: torch.Tensor | None = None
    ) -> StepReport:
        """Optimiser step ``number`` = 0, 1, … on this process's part of the global batch.

        Args:
            images: (b, *space, C) uint8.
            labels: (b,) int64, or None.
            low: the small versions of the images, (b, *space, C) uint8; None where they are made of them, if at all.
        """
        s, device = self.settings, self.accelerator.device
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        x0 = self.problem.codec.encode(images.to(device)).contiguous(memory_format=self.layout)
        whole = draw(s, number, self._places)
        own = slice(rank * s.batch // world, (rank + 1) * s.batch // world)
        draws, eps = whole.part(own), noise(s, number, own, x0.shape[1:]).to(device)
        if labels is not None and self.model.conditioner is not None:
            labels = self.model.conditioner.drop(labels, draws.hidden).to(device)
        enlarged = self._augmented(number, self.problem.enlarged(x0, low), own)
        # torch's own generator, as dropout takes no other; on the CPU it keeps 32 bits of this, and masks may recur
        torch.manual_seed(derive(s.seed, "dropout", number, rank))

        seen = []
        weights = draws.weights.to(device, torch.float32)
        parts = [slice(i, i + s.micro_batch) for i in range(0, len(x0), s.micro_batch)]
        for part in parts:
            mine = draws.part(part)
            now, next = self.problem.levels(mine.places)
            last = part is parts[-1]
            with nullcontext() if last else self.accelerator.no_sync(self._module):
                told = None if labels is None else labels[part], None if enlarged is None else enlarged.part(part)
                losses = self._module(x0[part], eps[part], now, next, *told)
                # processes average their gradients: the sum over all images, divided by their number
                self.accelerator.backward((losses * weights[part]).sum() * (world / s.batch))
            seen.append(losses.detach())
        losses = torch.cat(seen)
        report = self._update(number, (losses * weights).sum())
        if self.history is not None and not report.skipped:
            self.history.add(whole.places, self._gathered(losses, own))
        return report

    def _augmented(self, number: int, image: torch.Tensor | None, own: slice) -> LowResolution | None:
        """The images of a condition with the noise of this step."""
        pairs = self.problem.pairs
        if image is None or pairs is None:
            return None
        share, eps = (drawn.to(image.device) for drawn in augmentation(self.settings, number, own, image.shape[1:]))
        return pairs.noised(image, pairs.s_max * share, eps)

    def _places(self, n: int, stream: Stream) -> Drawn:
        return self.problem.level_sampling.draw(self.problem.schedule, n, stream, self.history)

    def _gathered(self, losses: torch.Tensor, own: slice) -> torch.Tensor:
        """The losses of the whole global batch, (batch,) float64 on the CPU; alike in every process."""
        everyone = torch.zeros(self.settings.batch, device=losses.device)
        everyone[own] = losses.float()
        if self.accelerator.num_processes > 1:  # the others' places are zero in each: the sum is exact
            everyone = self.accelerator.reduce(everyone, "sum")
        return everyone.cpu().double()

    def _update(self, number: int, total: torch.Tensor) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, number)
        norm = float(self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip))
        finite = norm == norm and norm != float("inf")
        if finite or self.accelerator.scaler is not None:  # a scaler must see what overflows, to scale less
            self._optimizer.step()
        self._optimizer.zero_grad()
        skipped = not finite or self._optimizer.step_was_skipped
        if skipped:
            self.skipped += 1
        else:
            self.ema.update(self.model.parameters())
        return StepReport(total, norm, skipped)

    def state(self, step: int) -> Checkpoint:
        """Everything that the next step depends on, after ``step`` steps."""
        state: dict[str, Any] = {"skipped": self.skipped, "ema_updates": self.ema.updates}
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        tensors = {
            "model": dict(self.model.state_dict()),
            "ema": dict(self.ema.model.state_dict()),
            "optimizer": self._moments(),
        }
        if self.history is not None:
            tensors["levels"] = self.history.tensors()
        return Checkpoint(step, tensors, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a state.

        Raises:
            InputError: the checkpoint is of another model, or lacks a part.
        """
        what = f"the checkpoint of step {checkpoint.step}"
        self._create_moments()
        load_into(self.model.state_dict(), checkpoint.tensors.get("model", {}), what)
        load_into(self.ema.model.state_dict(), checkpoint.tensors.get("ema", {}), what)
        load_into(self._moments(), checkpoint.tensors.get("optimizer", {}), what)
        if self.history is not None:
            load_into(self.history.tensors(), checkpoint.tensors.get("levels", {}), what)
        self.skipped = checkpoint.state["skipped"]
        self.ema.updates = checkpoint.state["ema_updates"]
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(checkpoint.state["scaler"])

    def _moments(self) -> dict[str, torch.Tensor]:
        """The optimiser's tensors by parameter: "exp_avg.net.conv_in.weight"."""
        moments = self._optimizer.state
        return {f"{key}.{name}": t for name, p in self.model.named_parameters() for key, t in moments[p].items()}

    def _create_moments(self) -> None:
        # AdamW makes them at its first step: as it would, of zeros
        for p in self.model.parameters():
            self._optimizer.state[p] = {
                "step": torch.zeros((), dtype=torch.float32, device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }


def _memory_format(model: Model) -> torch.memory_format:
    """Channels last where convolutions are faster so: with two or three spatial axes."""
    ranks = {p.ndim for p in model.net.parameters()}
    if 5 in ranks:
        return torch.channels_last_3d
    return torch.channels_last if 4 in ranks else torch.contiguous_format
