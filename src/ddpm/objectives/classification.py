"""Classification of noised images: the loss and the accuracy of a classifier."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ddpm.core import Parameterisation
from ddpm.core.condition import Conditions
from ddpm.core.gaussian import diffuse
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.level_sampling import LossHistory
from ddpm.objectives.noised import NoiseLevels
from ddpm.objectives.objective import Draws, Encode

LogitsLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(logits (B, K), labels (B,) int64) -> (B,)."""


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """``-log p(y | x_t)``, in nats (Dhariwal & Nichol 2021, sec. 4)."""
    return F.cross_entropy(logits, labels, reduction="none")


def correct(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1 where the likeliest class is correct, else 0: its mean is the accuracy. Has no gradient."""
    return (logits.argmax(1) == labels).float()


@dataclass(frozen=True, slots=True)
class Classification:
    """The objective of a classifier of ``x_t = alpha · x0 + sigma · eps``, with the labels as its target.

    Attributes:
        noise: the noise levels of the images.
        parameterisation: how the network is called; its prediction and variance are not used.
        encode: maps stored images to x0 (B, C, *space).
        measure: the loss of the logits.
    """

    noise: NoiseLevels
    parameterisation: Parameterisation
    encode: Encode
    measure: LogitsLoss = cross_entropy

    def history(self) -> LossHistory | None:
        return self.noise.history()

    def draws(self, streams: RowStreams, history: LossHistory | None) -> Draws:
        return self.noise.draws(streams, history)

    def held_out(self, seed: int, n: int, bins: int) -> Iterator[tuple[int, Draws]]:
        return self.noise.held_out(seed, n, bins)

    def losses(self, model: Model, images: torch.Tensor, conditions: Conditions, draws: Draws) -> torch.Tensor:
        x0 = self.encode(images, draws.streams).contiguous(memory_format=model.layout)
        eps = draws.streams.normal("noise", x0.shape[1:]).to(x0.device)
        now, _ = self.noise.levels(draws)
        logits = self.parameterisation.ask(model.net, diffuse(x0, eps, now), now).output
        return self.measure(logits, conditions["label"])
