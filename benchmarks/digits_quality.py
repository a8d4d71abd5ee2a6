"""Quality of the digits demo: ``python benchmarks/digits_quality.py runs/digits [--guidance 3]``.

Draws 500 samples, 50 of each class, from a run on scikit-learn's digits, and classifies them by a support vector
machine fitted on the real digits. Sharp samples are classified as the requested class; diverse ones vary within a
class as much as the real ones; and samples that are not copies lie as far from the nearest real digit as real digits
do from each other.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import ddpm


def nearest(points: np.ndarray, others: np.ndarray, *, same: bool = False) -> float:
    """Compute the median distance to the nearest other point."""
    squared = ((points[:, None] - others[None]) ** 2).sum(-1)
    if same:
        np.fill_diagonal(squared, np.inf)
    return float(np.median(np.sqrt(squared.min(1))))


def spread(points: np.ndarray) -> float:
    """Root of the summed variances of all pixels."""
    return float(np.sqrt(points.var(0).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--guidance", type=float, help="the run's own by default")
    parser.add_argument("--steps", type=int, help="the run's own by default")
    parser.add_argument("--solver", help="the run's own by default")
    parser.add_argument("--classifier", type=float, help="scale of guidance by the run's classifier; none by default")
    parser.add_argument("--classifier-form", help="score or mean")
    parser.add_argument("--per-class", type=int, default=50, help="samples of each class")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    real, target = load_digits(return_X_y=True)
    reader = SVC(gamma=0.001).fit(real, target)
    asked = np.repeat(np.arange(10), args.per_class)
    names = ("guidance", "steps", "solver", "classifier", "classifier_form")
    settings = {k: v for k in names if (v := getattr(args, k)) is not None}
    pipe = ddpm.load(args.run)
    # a run without labels cannot draw a given class unless a classifier guides it: then it draws any
    label = asked.tolist() if pipe.classes or args.classifier is not None else None
    images = pipe.sample(len(asked), label=label, seed=args.seed, **settings)
    drawn = np.stack([np.asarray(image, np.float64).ravel() for image in images]) / 255 * 16

    ratios = [spread(drawn[asked == c]) / spread(real[target == c]) for c in range(10)]
    print(f"read as asked      {100 * (reader.predict(drawn) == asked).mean():.1f} %")
    print(f"spread, real = 1   {np.mean(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f} by class)")
    print(f"nearest, real = 1  {nearest(drawn, real) / nearest(real, real, same=True):.2f}")


if __name__ == "__main__":
    main()
