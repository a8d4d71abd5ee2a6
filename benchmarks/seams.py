"""Check for visible seams: gradients across the borders of windows and of given pictures, against those elsewhere.

    python benchmarks/seams.py RUN TEST [--images 48] [--out FOLDER]

Pictures of TEST are extended by half their width on the left and on the right (``Pipeline.outpaint``), and images three
times as wide as those of training are sampled in windows (``size``). The energy of a column is the mean squared
difference to the next one, in grey levels up to 255. The table shows the energy of the columns at borders over that of
all other drawn columns, with a 95 % interval from resampled images; and the same for all pictures of TEST, which have
no seam in the middle, but where JPEG blocks have a border, as every 8 pixels.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from side_by_side.known import EXPECTED, REPAINT, UNIPC
from side_by_side.table import Table

import ddpm
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.sheets import picture, sheet
from ddpm.metrics.estimate import interval, resamples
from ddpm.sampling.windows import starts

RESAMPLES = 2000
COLUMNS = ("drawn", "border of", "energy there", "elsewhere", "ratio", "95 %", "seconds")

WAYS = EXPECTED | REPAINT


def energy(images: np.ndarray) -> np.ndarray:
    """The energy of the step from each column to the next, (N, H, W, C) uint8 -> (N, W - 1)."""
    return (np.diff(images.astype(np.float64), axis=2) ** 2).mean((1, 3))


def compared(energies: np.ndarray, border: list[int], drawn: list[int]) -> tuple[str, str, str, str]:
    """Compute both mean energies, their ratio and its interval; ``border`` and ``drawn`` are column indices."""
    there, elsewhere = (
        torch.from_numpy(energies[:, columns].mean(1)) for columns in (border, [c for c in drawn if c not in border])
    )
    often = resamples(len(energies), RESAMPLES).double()
    found = interval(float(there.mean() / elsewhere.mean()), (often @ there) / (often @ elsewhere))
    return f"{there.mean():.0f}", f"{elsewhere.mean():.0f}", f"{found.value:.2f}", f"{found.low:.2f} – {found.high:.2f}"


def stacked(images: list[Image.Image]) -> np.ndarray:
    """(N, H, W, C) uint8."""
    return np.stack([np.atleast_3d(np.asarray(image)) for image in images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("test", help="pictures that the run was not trained on")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--out", type=Path, help="folder for a sheet of eight of each kind")
    args = parser.parse_args()
    how = {"guidance": args.guidance, "precision": args.precision}
    pipe, table = ddpm.load(args.run), Table(f"seams of {args.images} images each", COLUMNS)
    size = height, width = pipe.config.data.size
    test = prepare(open_source(args.test), Geometry(size, pipe.config.data.mode))
    chosen = np.linspace(0, len(test) - 1, args.images).round().astype(int)
    label = [test.classes[k] for k in test.labels[chosen]] if pipe.classes and test.labels is not None else None

    given, more = [picture(image) for image in test.read(chosen)], width // 2
    pages: list[np.ndarray] = []
    drawn = [*range(more - 1), *range(more + width, 2 * width - 1)]
    borders = [more - 1, more + width - 1]
    for name, way in WAYS.items():
        began = perf_counter()
        made = stacked(pipe.outpaint(given, left=more, right=more, label=label, **how, **way))
        took = f"{perf_counter() - began:.0f}"
        assert (made[:, :, more : more + width] == test.read(chosen)).all()
        table.rows.append((name, "the picture", *compared(energy(made), borders, drawn), took))
        pages.append(made)
        print(*table.rows[-1], flush=True)

    far = 3 * width
    windows = starts(far, width, overlap=0.5)
    inside = sorted({a + b - 1 for a in windows for b in (0, width)} & set(range(far - 1)))
    made = stacked(pipe.sample(args.images, label=label, size=(height, far), **UNIPC, **how))
    table.rows.append(("from nothing", "windows", *compared(energy(made), inside, list(range(far - 1))), ""))
    pages.append(made)
    table.rows.append(
        ("the test images", "nothing", *compared(energy(test.images), [more - 1], list(range(width - 1))), "")
    )
    print(table)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for (name, *_), page in zip(table.rows, pages, strict=False):
            sheet(page[:8], columns=2).save(args.out / f"{name}.png")


if __name__ == "__main__":
    main()
