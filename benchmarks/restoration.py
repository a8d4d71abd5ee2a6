"""Quality of pictures that a run restores without being trained to: MMPS and DDNM, also with equal time.

    python benchmarks/restoration.py RUN TEST [--images 300] [--only downsample:4 blur:2] [--out FOLDER]

Pictures of TEST are shrunk (means of 4 × 4 blocks), turned grey, blurred, or blurred with noise, rounded to 8 bits, and
restored with their labels, if there are any. Fréchet distances are to all of TEST on the embedded features, and compare
only with each other. Consistency is the PSNR between the results, damaged again, and the damaged originals, before
noise. The first row of each kind is the damaged picture, enlarged by bicubic interpolation if it is small.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from side_by_side.known import EXPECTED
from side_by_side.table import Table

import ddpm
from ddpm import build
from ddpm.constraints import AveragePool, Blur, Grey, Operator
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.sheets import picture, sheet
from ddpm.metrics import frechet
from ddpm.metrics.features.extract import extract
from ddpm.metrics.similarity import psnr

KINDS: dict[str, tuple[str, Operator, float]] = {
    "downsample:4": ("downsample:4", AveragePool(4), 0.0),
    "grey": ("grey", Grey(), 0.0),
    "blur:2": ("blur:2", Blur(2.0), 0.0),
    "blur:2 with noise of 5": ("blur:2", Blur(2.0), 5.0),
}
COLUMNS = ("way", "Fréchet", "PSNR", "consistency", "seconds")


def planes(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) uint8 -> (N, C, H, W) float64."""
    return torch.from_numpy(images).movedim(-1, 1).double()


def rounded(values: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W, C) uint8."""
    return values.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()


def resembling(damaged: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    """The given pictures in the size and mode of the results."""
    height, width = size
    shown = [picture(one).resize((width, height), Image.Resampling.BICUBIC).convert(mode) for one in damaged]
    return np.stack([np.atleast_3d(np.asarray(one)) for one in shown])


def noised(exact: torch.Tensor, std: float) -> torch.Tensor:
    return exact + std * torch.randn(exact.shape, generator=torch.Generator().manual_seed(0), dtype=exact.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("test", help="pictures that the run was not trained on")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--only", nargs="*", help="kinds of damage; all by default")
    parser.add_argument("--out", type=Path, help="folder for a sheet of each kind: given, restored each way, original")
    args = parser.parse_args()
    pipe = ddpm.load(args.run)
    data = pipe.config.data
    test = prepare(open_source(args.test), Geometry(data.size, data.mode, data.fit))
    features = build.build_features("embedded", None, data.size, pipe.run.engine.device)
    real = frechet.fit(extract(features, test))
    chosen = np.linspace(0, len(test) - 1, args.images).round().astype(int)
    label = [test.classes[k] for k in test.labels[chosen]] if pipe.classes and test.labels is not None else None
    originals = test.read(chosen)

    for kind, (operator, damage, std) in KINDS.items():
        if args.only and kind not in args.only:
            continue
        exact = damage.forward(planes(originals))
        given = rounded(noised(exact, std))
        made, took = {"what was given": resembling(given, data.size, data.mode)}, {"what was given": 0.0}
        for name, way in EXPECTED.items():
            began = perf_counter()
            pictures = [picture(one) for one in given]
            how = way | {"guidance": 1.0, "precision": args.precision} | ({"noise": std} if std else {})
            drawn = pipe.restore(pictures, operator, label=label, **how)
            took[name], made[name] = perf_counter() - began, np.stack([np.asarray(one) for one in drawn])
            print(kind, name, f"{took[name]:.0f} s", flush=True)
        table = Table(f"{kind}, {args.images} images", COLUMNS)
        for name, images in made.items():
            distance = frechet.distance(frechet.fit(extract(features, Dataset(images))), real)
            near = psnr(planes(images), planes(originals)).clamp(max=99).mean()
            off = (damage.forward(planes(images)) - exact.round()).square().mean()
            again = (10 * torch.log10(255**2 / off)).clamp(max=99)
            table.rows.append((name, f"{distance:.1f}", f"{near:.2f}", f"{again:.1f}", f"{took[name]:.0f}"))
        print(table, flush=True)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            rows = np.concatenate([*(images[:12] for images in made.values()), originals[:12]])
            sheet(rows, columns=12).save(args.out / f"{kind}.png")


if __name__ == "__main__":
    main()
