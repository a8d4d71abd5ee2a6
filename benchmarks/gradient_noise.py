"""Gradient noise of the variational bound under several ways to draw noise levels.

    python benchmarks/gradient_noise.py RUN [--batches 200]

RUN was trained on the bound, such as a run of benchmarks/objectives.py. At the weights of each of its checkpoints, the
gradient of L_vlb is computed on many independent mini-batches, with levels drawn uniformly, stratified and by
importance. The k-th batches of all three have the same images and noise. Importance takes its losses from these
weights, by its own warm-up, and is then frozen, so that the batches are identically distributed.

tr(Σ) is the trace of the covariance of a batch's gradient; the noise scale is ``B · tr(Σ) / |G|²``, the batch size at
which noise and gradient are equally large (McCandlish et al. 2018, eq. 2.9), with |G|² unbiased from products of
different batches. Intervals are 95 % bootstrap intervals over the batches.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from side_by_side.machine import machine
from side_by_side.table import Table

import ddpm
from ddpm import build
from ddpm.core import Stream
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.evaluation.reference import training
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Importance, LevelSampling, LossHistory, Stratified, Ticks, Uniform
from ddpm.objectives.variational import Variational
from ddpm.training import checkpoint as checkpoints

SAMPLINGS: dict[str, LevelSampling] = {
    "uniform": Ticks(Uniform()),
    "stratified": Ticks(Stratified()),
    "importance": Ticks(Importance()),
}
REPLICATES = 1000
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bench:
    """A network at fixed weights, with the objective whose gradient is computed.

    Attributes:
        batch: images of one gradient.
    """

    model: Model
    objective: Denoising
    data: Dataset
    batch: int

    def losses(self, sampling: LevelSampling, seed: int, history: LossHistory | None) -> Iterator[Any]:
        """Yield the weighted and the unweighted loss of each image, and its timestep, batch after batch."""
        others = Stream(seed, "images")
        objective = replace(self.objective, noise=replace(self.objective.noise, sampling=sampling, dropout=0.0))
        for number in count():
            batch = batch_of(self.data, others.integers(len(self.data), self.batch).numpy())
            draws = objective.draws(RowStreams(seed, number, self.batch, range(self.batch)), history)
            bare = objective.losses(self.model, batch.images, batch.conditions, draws)
            yield bare * draws.weights.float(), bare, draws.timesteps

    def warm(self, sampling: LevelSampling) -> LossHistory | None:
        """Fill the history of a level sampling that keeps one, at these weights."""
        history = sampling.history(self.objective.noise.schedule.T)
        if history is None:
            return None
        with torch.no_grad():
            for _, bare, timesteps in self.losses(sampling, 1, history):
                history.add(timesteps, bare.double())
                if history.warm:
                    return history
        raise AssertionError("there is always another batch")

    def gradients(self, sampling: LevelSampling, n: int) -> torch.Tensor:
        """The gradients of n batches, (n, parameters)."""
        weights = [p for p in self.model.parameters() if p.requires_grad]
        found = []
        for loss, _, _ in self.losses(sampling, 2, self.warm(sampling)):
            parts = torch.autograd.grad(loss.mean(), weights, allow_unused=True, materialize_grads=True)
            found.append(torch.cat([part.flatten() for part in parts]))
            if len(found) == n:
                break
        return torch.stack(found)


def trace(gram: Array, counts: Array) -> Array:
    """Compute ``tr(Σ)`` from the inner products of n gradients with multiplicities, (replicates,).

    Args:
        gram: (n, n).
        counts: (replicates, n), each row sums to n.
    """
    n = len(gram)
    squares = counts @ gram.diagonal()
    mean = np.einsum("ri,ij,rj->r", counts, gram, counts, optimize=True) / n
    found: Array = (squares - mean) / (n - 1)
    return found


def squared_norm(gram: Array) -> float:
    """Estimate ``|G|²`` without bias, as the mean product of two different batches."""
    n = len(gram)
    return float((gram.sum() - gram.trace()) / (n * (n - 1)))


def summary(gradients: dict[str, torch.Tensor], batch: int, seed: int = 0) -> dict[str, Any]:
    """Compute traces and noise scales, and compare them with those of uniform levels."""
    n = len(gradients["uniform"])
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), REPLICATES).astype(np.float64)
    once = np.ones((1, n))
    grams = {name: (g.double() @ g.double().T).numpy() for name, g in gradients.items()}
    together = torch.stack(list(gradients.values())).mean(0).double()
    size = squared_norm((together @ together.T).numpy())
    uniform, uniforms = trace(grams["uniform"], once)[0], trace(grams["uniform"], counts)
    found: dict[str, Any] = {"squared_norm": size, "batches": n, "batch": batch}
    for name, gram in grams.items():
        value, values = trace(gram, once)[0], trace(gram, counts)
        # repeated batches lower a replicate's traces, of both alike
        low, high = np.quantile(values / uniforms, (0.025, 0.975))
        found[name] = {
            "trace": value,
            "noise_scale": batch * value / size,
            "ratio": value / uniform,
            "interval": [low, high],
        }
    return found


def at(path: Path, batch: int) -> Bench:
    """Load a checkpoint's raw weights, not their average: training takes the gradient at these."""
    pipe = ddpm.load(path, "cpu")
    objective, model = build.build_objective(pipe.config), pipe.run.engine.model
    if not isinstance(objective.loss, Variational):
        raise SystemExit(f"{path} was not trained on the bound; use a run of `ddpm train … --loss vlb`")
    checkpoints.load_into(model.state_dict(), checkpoints.read(path).tensors["model"], str(path))
    model.requires_grad_(True)
    return Bench(model, objective, training(pipe.config)[0], batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128, help="images per batch")
    parser.add_argument("--json", type=Path, help="file for all figures")
    args = parser.parse_args()

    table = Table(
        f"Gradient of L_vlb, {args.batches} batches of {args.batch}",
        ["images seen", "levels", "tr(Σ), uniform = 1", "95 %", "noise scale, images", "tr(Σ)", "|G|²"],
    )
    for path in checkpoints.paths(args.run / "checkpoints"):
        bench = at(path, args.batch)
        found = summary({name: bench.gradients(s, args.batches) for name, s in SAMPLINGS.items()}, args.batch)
        seen = int(path.name.removeprefix("step-")) * ddpm.load(path, "cpu").config.training.batch
        table.data[str(seen)] = found
        for name in SAMPLINGS:
            f = found[name]
            between = " – ".join(f"{x:.3f}" for x in f["interval"])
            numbers = (f"{f['noise_scale']:.0f}", f"{f['trace']:.3g}", f"{found['squared_norm']:.3g}")
            table.rows.append((f"{seen:,}", name, f"{f['ratio']:.3f}", between, *numbers))
    print(table)
    if args.json:
        where = machine("cpu", torch.get_num_threads())
        args.json.write_text(json.dumps({"machine": where, **table.data}, indent=1) + "\n")


if __name__ == "__main__":
    main()
