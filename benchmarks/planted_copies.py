"""Check whether `ddpm evaluate` finds planted copies of training images, and count its false alarms.

    python benchmarks/planted_copies.py REAL [HELD_OUT] [--size 64] [--sheet FILE.png]

REAL are training images, HELD_OUT others of the same kind; without them part of REAL is held out. Copies of 500
training images, of nine kinds, and all held-out images are compared with all training images, as ``ddpm evaluate``
does. The table shows the share found of each kind at several thresholds, and the share of held-out images mistaken for
copies. ``--sheet`` draws these, each next to the training image that it is mistaken for.

Then end to end: 2,000 images, 5 % of them copies of all kinds and the others held out, are written as a folder of PNGs,
and ``copy_rate`` in the score.json of ``ddpm evaluate FOLDER --data REAL`` must show them.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from feature_study.degradations import SIDE, jpeg, noise
from PIL import Image, ImageFilter
from side_by_side.table import Table

from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture, sheet
from ddpm.metrics import memorisation
from ddpm.metrics.estimate import wilson
from ddpm.metrics.features.extract import extract
from ddpm.metrics.memorisation import Thumbnail
from ddpm.records.score import Score

THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3)
COPIES = 500
"""Copies of each kind."""
PLANTED = 0.05
SHOWN = 96
"""The most held-out images on a sheet."""
TALL = 64


def blurred(radius: float) -> Callable[[Pixels], Pixels]:
    """Blur by a Gaussian with this radius in pixels of a 32 × 32 picture."""

    def one(image: Pixels) -> Pixels:
        kernel = ImageFilter.GaussianBlur(radius * len(image) / SIDE)
        return np.asarray(picture(image).filter(kernel)).reshape(image.shape)

    return lambda images: np.stack([one(image) for image in images])


def shifted(images: Pixels) -> Pixels:
    """Shift to the right by 1/32 of the width, at least a pixel; the left edge is repeated."""
    by = max(1, round(images.shape[2] / SIDE))
    return np.concatenate([images[:, :, :1].repeat(by, 2), images[:, :, :-by]], 2)


def as_jpeg(images: Pixels) -> Pixels:
    """Compress at quality 75, grey pictures as three equal channels."""
    rgb = np.broadcast_to(images, (*images.shape[:3], 3)) if images.shape[3] == 1 else images
    return jpeg(np.ascontiguousarray(rgb), 75, np.random.default_rng(0))[..., : images.shape[3]]


KINDS: dict[str, Callable[[Pixels], Pixels]] = {
    "exact": lambda images: images,
    "mirrored": lambda images: images[:, :, ::-1],
    "blurred, radius 0.5": blurred(0.5),
    "blurred, radius 0.7": blurred(0.7),
    "blurred, radius 1.0": blurred(1.0),
    "JPEG, quality 75": as_jpeg,
    "noise, sigma 8": lambda images: noise(images, 8, np.random.default_rng(0)),
    "shifted by 1/32": shifted,
    "10 % brighter": lambda images: (images * 1.1).round().clip(0, 255).astype(np.uint8),
}


def recall(images: Pixels, training: torch.Tensor) -> dict[str, torch.Tensor]:
    """Relative distance of each copy of these images, by kind."""
    return {name: distances(Dataset(change(images)), training)[1] for name, change in KINDS.items()}


def distances(images: Dataset, training: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return memorisation.nearest(extract(Thumbnail(), images), training)


def say(found: torch.Tensor, digits: int) -> str:
    """Format a share in percent, with its Wilson interval."""
    share = wilson(float(found.double().mean()), len(found))
    value, low, high = (f"{100 * x:.{digits}f}" for x in share)
    return f"{value} ({low} – {high})"


def tabled(title: str, copies: dict[str, torch.Tensor], others: torch.Tensor) -> Table:
    shipped = [f"**{t:g}**" if t == memorisation.THRESHOLD else f"{t:g}" for t in THRESHOLDS]
    table = Table(title, ["taken for copies, %; threshold", *shipped])
    for name, distance in copies.items():
        table.rows.append((name, *(say(distance < t, 1) for t in THRESHOLDS)))
    table.rows.append((f"held out ({len(others)})", *(say(others < t, 2) for t in THRESHOLDS)))
    return table


def draw_sheet(held: Dataset, seen: Dataset, which: torch.Tensor, distance: torch.Tensor, path: Path) -> int:
    """Draw the held-out images that count as copies, closest first, each left of its nearest training image."""
    copies = int((distance < memorisation.THRESHOLD).sum())
    order = distance.argsort(stable=True)[:copies][:SHOWN].numpy()
    if len(order):
        pairs = np.concatenate([held.read(order), seen.read(which[order].numpy())], 2)
        page = sheet(pairs)
        factor = max(1, TALL // held.shape[0])
        page.resize((page.width * factor, page.height * factor), Image.Resampling.NEAREST).save(path)
    return len(order)


def planted(seen: Dataset, held: Dataset, n: int, rng: np.random.Generator) -> tuple[Pixels, int]:
    """Mix a set of n images with copies, equally many of each kind where possible; also return the number of copies."""
    many = round(PLANTED * n)
    sources = rng.permutation(len(seen))[:many]
    kinds = list(KINDS.values())
    copied = [kinds[k % len(kinds)](seen.read(sources[k : k + 1])) for k in range(many)]
    others = held.read(rng.permutation(len(held))[: n - many])
    return np.concatenate([*copied, others])[rng.permutation(n)], many


def evaluate(generated: Pixels, seen: Dataset, folder: Path) -> Score:
    """Run the command line, with training images in class folders."""
    for name, pixels, labels in (("generated", generated, None), ("real", seen.images, seen.labels)):
        for i, image in enumerate(pixels):
            timestep = folder / name / ("" if labels is None else seen.classes[labels[i]])
            timestep.mkdir(parents=True, exist_ok=True)
            picture(image).save(timestep / f"{i:06d}.png")
    out = folder / "score.json"
    paths = [str(folder / "generated"), "--data", str(folder / "real"), "--out", str(out)]
    subprocess.run([sys.executable, "-m", "ddpm", "evaluate", *paths, "--device", "cpu"], check=True)
    return Score.read(out)


def halves(data: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """Hold out a fifth of the images, at most 2,000."""
    order = rng.permutation(len(data))
    held = min(2000, len(data) // 5)
    return data.subset(order[held:]), data.subset(order[:held])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", help="a folder of images, a .zip, an .npz, or digits")
    parser.add_argument("held_out", nargs="?", help="others of the same kind; a part of REAL by default")
    parser.add_argument("--size", type=int, help="side to resize images to, in RGB; unchanged by default")
    parser.add_argument("--sheet", type=Path, help="draw the held-out images mistaken for copies")
    parser.add_argument("--no-command", action="store_true", help="skip the command line")
    asked = parser.parse_args(argv)
    geometry = Geometry((asked.size, asked.size), "RGB") if asked.size else Geometry()
    rng = np.random.default_rng(0)
    seen = prepare(open_source(asked.real), geometry)
    if asked.held_out:
        held = prepare(open_source(asked.held_out), Geometry(seen.shape[:2], seen.mode))
    else:
        seen, held = halves(seen, rng)

    training = extract(Thumbnail(), seen)
    chosen = seen.read(rng.permutation(len(seen))[:COPIES])
    which, others = distances(held, training)
    height, width, _ = seen.shape
    title = f"{asked.real}, {height} × {width}: {len(chosen)} copies of each kind among {len(seen)} training images"
    print(tabled(title, recall(chosen, training), others), flush=True)
    if asked.sheet and (shown := draw_sheet(held, seen, which, others, asked.sheet)):
        copies = int((others < memorisation.THRESHOLD).sum())
        print(f"\n{shown} of {copies} held-out images that count as copies are in {asked.sheet}")
    if asked.no_command:
        return
    generated, many = planted(seen, held, min(2000, int(len(held) / (1 - PLANTED))), rng)
    with tempfile.TemporaryDirectory() as folder:
        score = evaluate(generated, seen, Path(folder))
    assert score.memorisation is not None
    rate = score.memorisation.rate
    print(
        f"\nplanted {many} of {len(generated)}; copy_rate {rate.value:.4f} ({rate.low:.4f} – {rate.high:.4f})"
        f" by ddpm evaluate, {score.memorisation.copies} images"
    )


if __name__ == "__main__":
    main()
