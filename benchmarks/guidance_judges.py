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
from pathlib import Path

import numpy as np
import torch
from side_by_side.judge import Judge
from side_by_side.table import Table

from ddpm import build
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

REAL = 5000


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
    share = judge.right(extract(judge, held_out), held_out.labels)
    print(f"the classifier is right on {100 * share:.1f} % of {len(held_out)} held-out images")
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
            ours = extract(judge, drawn)
            value, spread = frechet.distance(frechet.fit(ours), normal), frechet.replicates(ours, normal, counts)
            if len(first) <= k:
                first.append((value, spread))
            change = interval(value - first[k][0], spread - first[k][1])
            cells.append(f"{value:.4g}; {change.value:+.3g} ({change.low:+.3g} to {change.high:+.3g})")
            if isinstance(judge, Judge):
                right = f"{100 * judge.right(ours, np.array(recipe.labels(np.arange(found.n)))):.1f} %"
        table.rows.append((words(trial.guidance), *cells, right))
    print(table)


if __name__ == "__main__":
    main()
