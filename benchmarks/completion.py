"""Quality of inpainted digits: hide the lower half, redraw it four times, and classify the results.

    python benchmarks/digit_folders.py digits
    ddpm train digits/train --out runs/four-fifths --for 90s
    python benchmarks/completion.py runs/four-fifths --test digits/test [--sheet FILE.png] [--only RePaint]

The lower half of digits that the run was not trained on, by default its held-out ones, is hidden, and
``Pipeline.inpaint`` draws it four times in several ways, with and without the label. A support vector machine fitted
on the training digits classifies the completions. With the label, accuracy should equal that of whole originals.
Without it, completions drawn from the distribution given the upper half should be classified correctly as often as
the upper half determines the digit: the mean probability that a classifier of upper halves, fitted on the same
digits, gives the true class.

Spread is the root of the summed variances of the hidden pixels within the completions of an image, over that within a
class of real digits, whose upper halves differ too.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from side_by_side.known import EXPECTED, REPAINT
from side_by_side.table import Table
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import ddpm
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.evaluation.reference import training
from ddpm.images.geometry import Geometry
from ddpm.images.sheets import picture, sheet

TIMES = 4
"""Completions of each image."""

WAYS = EXPECTED | REPAINT
COLUMNS = ("way", "label", "read right, %", "of the whole's, %", "all four differ, %", "spread")


def features(images: np.ndarray) -> np.ndarray:
    """(N, H · W) in 0 … 16, as scikit-learn has them."""
    return images.reshape(len(images), -1) / (255 / 16)


def hidden(images: np.ndarray) -> np.ndarray:
    """The lower halves of (…, H, W)."""
    return images[..., images.shape[-2] // 2 :, :]


def shown(images: np.ndarray) -> np.ndarray:
    """The upper halves of (…, H, W)."""
    return images[..., : images.shape[-2] // 2, :]


def spread(images: np.ndarray) -> float:
    """Root of the summed variances of the hidden pixels."""
    return float(np.sqrt(features(hidden(images)).var(0, ddof=1).sum()))


def completed(pipe: ddpm.Pipeline, images: np.ndarray, label: list[int] | None, way: dict[str, Any]) -> np.ndarray:
    """(N, TIMES, H, W) uint8."""
    mask = np.zeros(images.shape[1:], np.uint8)
    hidden(mask)[:] = 255
    given = [picture(image[..., None]) for image in images]
    made = pipe.inpaint(given, Image.fromarray(mask), n=TIMES, label=label, batch=256, **way)
    return np.stack([np.asarray(image) for image in made]).reshape(len(images), TIMES, *images.shape[1:])


def page(images: np.ndarray, completions: np.ndarray, enlarge: int = 6) -> Image.Image:
    """Draw a sheet with a column for each image: the original, its known part, its completions."""
    known = images.copy()
    hidden(known)[:] = 128
    rows = np.concatenate([images, known, *completions.swapaxes(0, 1)])
    return sheet(rows.repeat(enlarge, 1).repeat(enlarge, 2)[..., None], columns=len(images), gap=enlarge // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--test", help="other digits that it was not trained on, in class folders")
    parser.add_argument("--sheet", type=Path, help="draw some completions with the label, by the first way")
    parser.add_argument("--only", nargs="*", help="parts of the names of ways; all by default")
    args = parser.parse_args()
    ways = {name: WAYS[name] for name in WAYS if not args.only or any(part in name for part in args.only)}

    pipe = ddpm.load(args.run)
    known, held_out = training(pipe.config)
    test = prepare(open_source(args.test), Geometry()) if args.test else held_out
    seen, images = known.images[..., 0], test.images[..., 0]
    read, target = known.labels, test.labels
    assert read is not None
    assert target is not None
    reader = SVC(gamma=0.001).fit(features(seen), read)
    above = make_pipeline(
        Nystroem(gamma=0.001, n_components=600, random_state=0), LogisticRegression(C=100, max_iter=3000)
    )
    above.fit(features(shown(seen)), read)
    whole = float((reader.predict(features(images)) == target).mean())
    told = float(above.predict_proba(features(shown(images)))[np.arange(len(target)), target].mean())
    print(f"whole, {100 * whole:.1f} % are read right; the upper half tells {100 * told:.1f} %", flush=True)

    kinds = [spread(seen[read == k]) for k in range(10)]
    table = Table(f"lower halves of {len(images)} digits", COLUMNS)
    for name, way in ways.items():
        for label in (target.tolist(), None):
            drawn = completed(pipe, images, label, way)
            assert (shown(drawn) == shown(images)[:, None]).all()
            answers = reader.predict(features(drawn.reshape(-1, *images.shape[1:]))).reshape(-1, TIMES)
            right = float((answers == target[:, None]).mean())
            differ = np.mean([len({one.tobytes() for one in four}) == TIMES for four in drawn])
            wide = np.mean([spread(four) / kinds[k] for four, k in zip(drawn, target, strict=True)])
            figures = [f"{100 * x:.1f}" for x in (right, right / whole, differ)]
            table.rows.append((name, "no" if label is None else "yes", *figures, f"{wide:.2f}"))
            print(*table.rows[-1], flush=True)
            if args.sheet and label is not None and name == next(iter(ways)):
                first = [int(np.flatnonzero(target == k)[i]) for k, i in [*((k, 0) for k in range(10)), (2, 1), (5, 1)]]
                page(images[first], drawn[first]).save(args.sheet)
    print(table)


if __name__ == "__main__":
    main()
