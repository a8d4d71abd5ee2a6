"""Effect of the variational bound, a learned variance and importance-sampled levels on the digits.

    python benchmarks/objectives.py [--seeds 3] [--out runs/objectives]

After Nichol & Dhariwal 2021: one network with eps prediction on the cosine schedule with T = 1000, each objective on
the same number of images, with uniform and with importance-sampled levels, each for several seeds. A seed determines
weights, noise and held-out digits, and is the same for all objectives. Each run is measured by:

- bits per dimension of the held-out digits, given their labels: the bound at all 1,000 levels, estimated from 100 of
  its terms per image, and in full on uniform grids of 25, 50 and 100 levels;
- 500 ancestral samples in 25 and in 50 steps, unguided: Fréchet distance and accuracy.

The bound is also trained without gradient clipping: clipped to a norm of 1, as in ``ddpm train``, nearly all gradients
have the same length, and batches with the largest losses count no more than others.

"simple, large" has the weights of "simple, small" with the other bound of the variance in the reverse step. A learned
variance with the simple loss, or a fixed one with the hybrid loss, is left out: ``ddpm train`` refuses both, as the
first would not be trained, and the second has nothing to train.

Results are kept: re-run the same command to resume. OUT/objectives.json has all figures.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from objective_study.digits import train
from side_by_side.machine import machine
from side_by_side.table import Table

import ddpm
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.reference import training
from ddpm.objectives.bound import Bound
from ddpm.tasks.likelihood import likelihood
from ddpm.tasks.likelihood_settings import settle

T, TERMS = 1000, 100
GRIDS = (25, 50, 100)
STEPS = (25, 50)
SAMPLES = 500
PARTS = ("prior", "kl", "decoder")
LEVELS = ("uniform", "importance")
SOLVERS = {"small": "ancestral-small", "large": "ancestral-large", "learned": "ancestral"}


@dataclass(frozen=True)
class Objective:
    """A loss and the variance that is trained with it.

    Attributes:
        also: another variance that the same weights are measured with.
        clip: largest norm of the gradient; None for that of ``ddpm train``.
    """

    loss: str
    variance: str
    also: str | None = None
    clip: float | None = None

    @property
    def name(self) -> str:
        return self.loss if self.clip is None else f"{self.loss}-unclipped"

    def changes(self, levels: str, seed: int, batch: int) -> dict[str, Any]:
        clip = {} if self.clip is None else {"training.clip": self.clip}
        return clip | {
            "diffusion.schedule": "cosine",
            "diffusion.T": T,
            "diffusion.prediction": "eps",
            "diffusion.variance": self.variance,
            "objective.loss": self.loss,
            "objective.levels": levels,
            "sampling.guidance": 1.0,
            "training.batch": batch,
            "training.seed": seed,
        }


OBJECTIVES = (
    Objective("simple", "small", also="large"),
    Objective("vlb", "small"),
    Objective("vlb", "learned"),
    Objective("vlb", "learned", clip=1e9),
    Objective("hybrid", "learned"),
)


def measured(home: Path, variance: str) -> dict[str, Any]:
    """Measure bits and samples of a run, with a variance that may differ from its own."""
    run = load(home)
    diffusion = run.config.diffusion.model_copy(update={"variance": variance})
    run = replace(run, config=run.config.model_copy(update={"diffusion": diffusion}))
    return {"bits": bits(run), "samples": {str(steps): samples(home, variance, steps) for steps in STEPS}}


def bits(run: LoadedRun) -> dict[str, Any]:
    """Measure bits by grid: of each held-out image, and the mean parts of the bound."""
    _, held = training(run.config)
    assert held.labels is not None
    pixels, labels = held.read(np.arange(len(held))), held.labels.tolist()
    found = {}
    for steps, terms in [(T, TERMS), *((steps, None) for steps in GRIDS)]:
        how = settle(run.config, steps=steps, terms=terms)
        answer = likelihood(run, how, pixels, labels, list(range(len(held))))
        terms = Bound(answer["prior"], answer["terms"], answer["x0_mse"])
        parts = {part: float(getattr(terms, part).mean()) for part in PARTS}
        found[str(steps)] = {"images": answer["bits"].tolist(), **parts}
    return found


def samples(home: Path, variance: str, steps: int) -> dict[str, float | None]:
    sampling = {"solver": SOLVERS[variance], "steps": steps, "grid": "uniform"}
    score = ddpm.evaluate(home, n=SAMPLES, sampling=sampling)
    assert score.accuracy is not None
    return {
        "frechet": score.frechet.value,
        "floor": score.frechet.floor,
        "accuracy": score.accuracy.value,
        "real": score.accuracy.real,
    }


def spread(values: list[float], digits: int = 3) -> str:
    """Mean and standard error."""
    error = f" ± {stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{error}"


def bits_of(results: list[dict[str, Any]], steps: int) -> list[float]:
    """The mean over held-out images for each seed; for a single seed, the value of each image."""
    images = [r["bits"][str(steps)]["images"] for r in results]
    return [mean(bits) for bits in images] if len(images) > 1 else images[0]


def tables(found: dict[tuple[str, str, str], list[dict[str, Any]]]) -> list[Table]:
    """Build tables of bits, their parts and samples: rows by (loss, variance, levels), with a result per seed."""
    bound = Table(
        "Bits per dimension of held-out digits: mean ± standard error over the seeds, or of one over its images",
        ["loss, variance, levels", *(f"{steps} levels" for steps in (T, *GRIDS))],
    )
    parts = Table(
        f"… where they come from, at {T} and at {GRIDS[0]} levels",
        ["loss, variance, levels", *(f"{p} {s}" for s in (T, GRIDS[0]) for p in PARTS)],
    )
    drawn = Table(
        f"{SAMPLES} ancestral samples: Fréchet distance and % read as asked, mean ± standard error over the seeds",
        ["loss, variance, levels", *(f"{what} {steps} steps" for steps in STEPS for what in ("Fréchet,", "read,"))],
    )
    for key, results in found.items():
        name = ", ".join(key)
        bound.rows.append((name, *(spread(bits_of(results, steps)) for steps in (T, *GRIDS))))
        where = [(str(steps), part) for steps in (T, GRIDS[0]) for part in PARTS]
        parts.rows.append((name, *(f"{mean(r['bits'][s][part] for r in results):.3f}" for s, part in where)))
        cells = []
        for steps in STEPS:
            cells.append(spread([r["samples"][str(steps)]["frechet"] for r in results], 2))
            cells.append(spread([100 * r["samples"][str(steps)]["accuracy"] for r in results], 1))
        drawn.rows.append((name, *cells))
    return [bound, parts, drawn]


def differences(found: dict[tuple[str, str, str], list[dict[str, Any]]]) -> Table:
    """Compute the bits that a choice saves on the same images: by seed, or by image for a single seed."""
    table = Table(
        "Bits per dimension saved: mean ± standard error of the seeds' differences, or of one of its images'",
        ["", *(f"{steps} levels" for steps in (T, *GRIDS))],
    )
    for title, before, after in (
        ("fixed small → large, simple", ("simple", "small"), ("simple", "large")),
        ("fixed small → learned, vlb", ("vlb", "small"), ("vlb", "learned")),
        ("simple, large → hybrid, learned", ("simple", "large"), ("hybrid", "learned")),
        ("hybrid → vlb, learned", ("hybrid", "learned"), ("vlb", "learned")),
        ("clipped → not, vlb, learned", ("vlb", "learned"), ("vlb-unclipped", "learned")),
    ):
        for levels in LEVELS:
            pair = found.get((*before, levels)), found.get((*after, levels))
            if all(pair):
                table.rows.append((f"{title}, {levels}", *_saved(*pair)))
    for key in found:
        uniform = found.get((*key[:2], "uniform"))
        if key[2] == "importance" and uniform:
            table.rows.append((f"uniform → importance, {key[0]}, {key[1]}", *_saved(uniform, found[key])))
    return table


def _saved(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    cells = []
    for steps in (T, *GRIDS):
        pairs = zip(bits_of(before, steps), bits_of(after, steps), strict=False)
        cells.append(spread([b - a for b, a in pairs]))
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=int, default=64_000, help="images that each run sees; importance needs about 24,000"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"))
    args = parser.parse_args()

    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for seed in range(args.seeds):
        for objective in OBJECTIVES:
            for levels in LEVELS:
                name = f"{objective.name}-{objective.variance}-{levels}-{args.images}-{args.batch}-{seed}"
                home = args.out / name
                trained = home / "seconds.json"
                if not trained.exists():
                    seconds = train(home, args.images, objective.changes(levels, seed, args.batch), keep=2)
                    trained.write_text(json.dumps(seconds) + "\n")
                for variance in filter(None, (objective.variance, objective.also)):
                    path = home / f"{variance}.json"
                    if not path.exists():
                        path.write_text(json.dumps(measured(home, variance), indent=1) + "\n")
                    result = json.loads(path.read_text())
                    found.setdefault((objective.name, variance, levels), []).append(result)
                    at = " ".join(f"{steps}: {mean(r['images']):.3f}" for steps, r in result["bits"].items())
                    of = " ".join(f"{s}: {r['frechet']:.2f} {r['accuracy']:.3f}" for s, r in result["samples"].items())
                    print(f"{name:45} {variance:8} bits {at}  samples {of}", flush=True)
    for table in [*tables(found), differences(found)]:
        print(table)
    where = machine("cpu", torch.get_num_threads())
    figures = {"machine": where, "results": {", ".join(key): results for key, results in found.items()}}
    (args.out / "objectives.json").write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
