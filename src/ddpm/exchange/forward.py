"""One forward pass on a fixed input, to compare a model with its original."""

from dataclasses import dataclass

import torch

from ddpm.engine.classifier import Classifier
from ddpm.engine.run import LoadedRun
from ddpm.objectives.autoencoding import VariationalAutoencoder

TIMESTEP = 500.0


@dataclass(frozen=True)
class ForwardPass:
    """The statistics of a network's output, which anyone can compute with the original.

    Attributes:
        given: the input in words.
        mean, std: the mean and the standard deviation of the output.
        first: the first three values of the output.
    """

    given: str
    mean: float
    std: float
    first: tuple[float, ...]

    @classmethod
    def of(cls, given: str, output: torch.Tensor) -> "ForwardPass":
        """The statistics of an output."""
        flat = output.double().flatten()
        return cls(given, flat.mean().item(), flat.std(correction=0).item(), tuple(flat[:3].tolist()))

    @property
    def words(self) -> str:
        """One line: "x = sin(0, 1, …), t = 500: mean -0.0132, std 0.8713, first 0.0123, -0.4, 0.97"."""
        first = ", ".join(f"{value:.5g}" for value in self.first)
        return f"{self.given}: mean {self.mean:.6g}, std {self.std:.6g}, first values {first}"


def fixed_input(*shape: int) -> torch.Tensor:
    """A tensor whose values are sin(0), sin(1), sin(2) …, float32."""
    count = torch.Size(shape).numel()
    return torch.arange(count, dtype=torch.float64).sin().float().reshape(shape)


def _described(x: torch.Tensor) -> str:
    return f"x = sin(0), sin(1), … as {'×'.join(map(str, x.shape))}"


@torch.no_grad()
def of_run(run: LoadedRun) -> ForwardPass:
    """The forward pass of a run's network at the training size, with its first class if it has any, and no prompt."""
    engine = run.engine
    x = fixed_input(1, *engine.shape).to(engine.device)
    t = torch.full((1,), TIMESTEP, device=engine.device)
    raw = {"label": torch.zeros(1, dtype=torch.int64, device=engine.device)} if run.classes else {}
    given = [_described(x), f"t = {TIMESTEP:g}"]
    given += [f"label {run.classes[0]!r}"] if run.classes else []
    given += ["the empty prompt"] if run.text is not None else []
    return ForwardPass.of(", ".join(given), engine.model.net(x, t, engine.cond(raw, [0], run.config.sampling)))


@torch.no_grad()
def of_classifier(classifier: Classifier) -> ForwardPass:
    """The forward pass of a classifier, on the CPU."""
    data = classifier.config.data
    x = fixed_input(1, len(data.mode), *data.size)
    given = f"{_described(x)}, t = {TIMESTEP:g}, logits"
    return ForwardPass.of(given, classifier.model.net(x, torch.full((1,), TIMESTEP)))


@torch.no_grad()
def of_autoencoder(net: VariationalAutoencoder, shape: tuple[int, int, int]) -> ForwardPass:
    """The forward pass of an autoencoder's decoder, on the CPU.

    Args:
        shape: (C, H, W) of the latents.
    """
    z = fixed_input(1, *shape)
    return ForwardPass.of(f"latents sin(0), sin(1), … as {'×'.join(map(str, z.shape))}", net.decode(z))
