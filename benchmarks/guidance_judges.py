"""Whether guidance that the search of a run chose by one set of features also wins by others.

    python benchmarks/guidance_judges.py RUN

Measures the samples of every guidance in ``RUN/guidance.json``, which the search keeps. The features are

- embedded: those of the search;
- thumbnail: small images, which need no network;
- classifier: the values before the last layer of a classifier that is trained here, on the run's training images. It
  also says which share of the samples is of the requested class.

Changes are from the run's own guidance, with paired 95 % intervals.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from side_by_side.table import Table
from torch import nn

from ddpm import build
from ddpm.data.dataset import Dataset
from ddpm.engine.loading import load
from ddpm.evaluation.drawn import SampleRecipe, SampleStore, proportions_of
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import reference, training
from ddpm.metrics import frechet
from ddpm.metrics.estimate import interval, resamples
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.guidance import words
from ddpm.records.run_folder import RunFolder

REAL, BATCH = 5000, 64


class Judge(nn.Module):
    """A small classifier of the run's images; its features are the values before the last layer."""

    name, hash, resize, dim = "classifier", "", "none", 192

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise((channels, 48, 96, self.dim)):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.body, self.last = (
            nn.Sequential(*layers).to(memory_format=torch.channels_last),
            nn.Linear(self.dim, classes),
        )
        self.logits: list[torch.Tensor] = []

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, dim)."""
        x = images.permute(0, 3, 1, 2).float().sub(127.5).div(64).contiguous(memory_format=torch.channels_last)
        return self.body(x).float().mean((2, 3))

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        found = self.eval().features(images)
        self.logits.append(self.last(found))
        return found

    def fit(self, data: Dataset, epochs: int) -> None:
        """Train on images in random order, half of them mirrored if they are photographs."""
        generator = np.random.default_rng(0)
        steps = epochs * (len(data) // BATCH)
        adam = torch.optim.AdamW(self.parameters(), weight_decay=0.01)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=steps)
        rows = np.concatenate([generator.permutation(len(data))[: len(data) // BATCH * BATCH] for _ in range(epochs)])
        for at in rows.reshape(steps, BATCH):
            images = torch.from_numpy(data.read(at))
            if min(data.shape[:2]) >= 32 and generator.random() < 0.5:
                images = images.flip(2)
            with torch.autocast("cpu", torch.bfloat16):
                found = self.train().features(images)
            loss = F.cross_entropy(self.last(found), torch.from_numpy(data.labels[at]))
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    run, d = load(args.run), load(args.run).config.data
    found = run.guided
    if found is None:
        raise SystemExit(f"{args.run} has no search for guidance; run `ddpm tune {args.run} --guidance`")
    real = reference(EvaluationOptions(), d)
    proportions, _ = proportions_of(run.classes, real.data)
    some = real.data.subset(np.sort(np.random.default_rng(0).permutation(len(real.data))[:REAL]))
    seen, held_out = training(run.config)
    torch.manual_seed(0)
    judge = Judge(len(d.mode), len(d.classes))
    judge.fit(seen, args.epochs)
    extract(judge, held_out)
    right = float(
        (torch.cat(judge.logits)[: len(held_out)].argmax(1) == torch.from_numpy(held_out.labels)).double().mean()
    )
    print(f"the classifier is right on {100 * right:.1f} % of {len(held_out)} held-out images")
    judges: list[Extractor] = [build.build_features("embedded", None, d.size, "cpu"), Thumbnail(), judge]
    counts = resamples(found.n, 200)
    table = Table(
        f"Fréchet distances of {found.n} samples", ("guidance", *(judge.name for judge in judges), "as requested")
    )
    references = [frechet.fit(extract(judge, some)) for judge in judges]
    first: list[tuple[float, torch.Tensor]] = []
    for trial in found.trials:
        how = found.sampling.model_copy(update={"guidance": trial.guidance})
        recipe = SampleRecipe(run.weights, how, found.seed, proportions)
        drawn = SampleStore(RunFolder.open(args.run).drawn / recipe.key, found.n, (*d.size, len(d.mode)))
        cells, right = [], ""
        for k, (judge, normal) in enumerate(zip(judges, references, strict=True)):
            if isinstance(judge, Judge):
                judge.logits.clear()
            ours = extract(judge, drawn)
            value, spread = frechet.distance(frechet.fit(ours), normal), frechet.replicates(ours, normal, counts)
            if len(first) <= k:
                first.append((value, spread))
            change = interval(value - first[k][0], spread - first[k][1])
            cells.append(f"{value:.4g}; {change.value:+.3g} ({change.low:+.3g} to {change.high:+.3g})")
            if isinstance(judge, Judge):
                guesses = torch.cat(judge.logits)[: found.n].argmax(1)
                asked = torch.tensor(recipe.labels(np.arange(found.n)))
                right = f"{100 * float((guesses == asked).double().mean()):.1f} %"
        table.rows.append((words(trial.guidance), *cells, right))
    print(table)


if __name__ == "__main__":
    main()
