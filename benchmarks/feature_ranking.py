"""Check whether Fréchet distances on some features rank images correctly, and measure their cost.

    python benchmarks/feature_ranking.py REAL TEST [--run RUN] [--features embedded random pixels]

REAL are the reference images, TEST others of the same kind, such as CIFAR-10's training and test images. 2,000 test
images are degraded in eight ways of five strengths, classes are left out, and, with ``--run``, samples are drawn from
its earlier checkpoints and in fewer steps. There are four sections; select some with ``--only``:

- ranking: distances as multiples of that of the same 2,000 images untouched, and their rank correlation with strength;
- floor: the distance of disjoint sets of test images, next to the floor of ``ddpm evaluate``;
- apart: how often two sets of 2,000, of different images or the same, are ranked correctly if the distances of all test
  images differ by a tenth;
- speed: images per second, next to Inception's network with random weights.

Features: ``embedded``, the same network with ``random`` weights, ``pixels`` (averages over 8 × 8 areas), ``inception``
(with its file in ``--weights``), or the file of another embedded network (benchmarks/embedded_features.py makes one).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from feature_study.apart import MORE, Pair, apart
from feature_study.degradations import DEGRADATIONS
from feature_study.kinds import kinds
from feature_study.ranking import Row, disjoint, rank
from feature_study.speed import speeds
from feature_study.weaker import weaker
from side_by_side.machine import machine
from side_by_side.table import Table

from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.metrics import frechet
from ddpm.metrics.features import Extractor
from ddpm.metrics.features.extract import extract, extract_once
from ddpm.metrics.features.inception import Inception

sys.path.append(str(Path(__file__).parents[1]))
from tests.metrics.features.random_inception import random_weights

SECTIONS = ("ranking", "floor", "apart", "speed")
SETS = {1000: 10, 2000: 5, 10_000: 1}
"""Size of the sets of real images -> the most sets."""
SEEDS = 10
"""Seeds of the floor; ``ddpm evaluate`` takes the first."""


def ranking(found: dict[str, dict[str, Row]], level: dict[str, float], n: int) -> list[Table]:
    """Build a table of rank correlations by features, and one of distances for each."""
    names = list(found)
    ways = list(found[names[0]])
    tables = [
        Table(
            f"Rank correlation of the distance with the strength, {n} images",
            ["", *names],
            [(way, *(f"{found[name][way].spearman:.2f}" for name in names)) for way in ways],
            {name: {way: row.spearman for way, row in rows.items()} for name, rows in found.items()},
        )
    ]
    enough = [str(sum(row.spearman >= 0.95 for row in rows.values())) for rows in found.values()]
    tables[0].rows.append((f"0.95 or more, of {len(ways)}", *enough))
    for name, rows in found.items():
        table = Table(
            f"Distances by {name} features, the same images untouched ({level[name]:.4g}) = 1",
            ["", "strengths", *"12345"],
            data={way: {"strengths": row.strengths, "distances": row.distances} for way, row in rows.items()},
        )
        for way, row in rows.items():
            unit = f" ({DEGRADATIONS[way].unit})" if way in DEGRADATIONS else ""
            shown = (say(d / level[name]) for d in row.distances)
            table.rows.append((way, ", ".join(row.strengths) + unit, *shown))
        tables.append(table)
    return tables


def say(value: float) -> str:
    """Format with three digits and without powers of ten."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def floors(extractor: Extractor, theirs: torch.Tensor, ours: torch.Tensor, real: frechet.Normal) -> Table:
    """Compare sets of test images, which no generator made, with the floor."""
    table = Table(
        f"Distance of real images by {extractor.name} features",
        [
            "images",
            "sets",
            "test images: mean ± sd",
            f"the floor, {SEEDS} seeds",
            "the floor of `ddpm evaluate`",
            "ratio",
        ],
    )
    for n, most in SETS.items():
        floor = [frechet.floor(theirs, n, seed) for seed in range(SEEDS)]
        if None in floor or n > len(ours):
            continue
        sets = disjoint(ours, n, most, real)
        first, ratio = f"{floor[0]:.3f}", f"{np.mean(sets) / np.mean(floor):.3f}"
        table.rows.append((f"{n}", f"{len(sets)}", spread(sets), spread(floor), first, ratio))
        table.data[str(n)] = {"sets": sets, "floor": floor}
    return table


def spread(values: Sequence[float]) -> str:
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def differences(pairs: Sequence[Pair], name: str, n: int, level: float) -> Table:
    table = Table(
        f"Two strengths whose distances by {name} features differ by {100 * (MORE - 1):.0f} %, in sets of {n}",
        ["", "strengths", "distances of all", f"… of {n}", f"real {n} = 1", "gap / sd", "in order", "same images"],
    )
    for p in pairs:
        small = p.small.mean(1)
        table.rows.append(
            (
                p.way,
                " / ".join(f"{s:.3g}" for s in p.strengths),
                " / ".join(f"{d:.3g}" for d in p.distances),
                " / ".join(f"{d:.3g}" for d in small),
                f"{small[0] / level:.2f}",
                f"{p.gap / p.sd:.1f}",
                f"{100 * p.right:.0f} %",
                f"{100 * p.right_of_same:.0f} %",
            )
        )
        table.data[f"{p.way} {p.strengths[0]:.3g}"] = {
            "strengths": p.strengths,
            "distances": p.distances,
            "small": p.small.tolist(),
            "gap": p.gap,
            "sd": p.sd,
        }
    return table


def pace(extractors: Sequence[Extractor], threads: Sequence[int], size: tuple[int, int]) -> Table:
    """Time all features and Inception, by number of threads."""
    all_ = [*extractors]
    if not any(isinstance(extractor, Inception) for extractor in extractors):
        all_.append(Inception(random_weights(), torch.device("cpu")))
    found = {count: speeds(all_, count, size) for count in threads}
    table = Table(
        f"Images a second, {size[0]} × {size[1]}: median (lowest – highest) of five rounds, and times Inception's",
        ["", *(f"{count} thread{'s' * (count > 1)}" for count in threads), *("times Inception" for _ in threads)],
        data={str(count): rates for count, rates in found.items()},
    )
    for extractor in all_:
        rates = [found[count][extractor.name] for count in threads]
        over = [rate.median / found[count]["inception"].median for count, rate in zip(threads, rates, strict=True)]
        table.rows.append((extractor.name, *(rate.say(1, 0) for rate in rates), *(f"{times:.0f}" for times in over)))
    return table


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", help="the reference images: a folder, a .zip or an .npz")
    parser.add_argument("test", help="other images of the same kind, at least 2,000")
    parser.add_argument("--run", type=Path, help="a run on them with many checkpoints (--set training.keep=100)")
    parser.add_argument("--cache", type=Path, help="a folder that keeps the samples, to resume")
    parser.add_argument("--features", nargs="+", default=["embedded", "random", "pixels"])
    parser.add_argument("--weights", help="Inception's weights")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("-n", type=int, default=2000, help="images per set")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to time")
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args()


def progress(text: str) -> None:
    """Print the current task in place, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    asked = arguments()
    real = prepare(open_source(asked.real), Geometry(None, "RGB"))
    test = prepare(open_source(asked.test), Geometry(real.shape[:2], "RGB"))
    if len(test) < asked.n:
        raise SystemExit(f"{asked.test} has {len(test)} images; use at least {asked.n}, or a smaller -n")
    where = machine("cpu", torch.get_num_threads())
    for name, words in where.items():
        print(f"{name}: {words}")
    tables = list(study(asked, real, test))
    for table in tables:
        print(table, flush=True)
    if asked.json:
        figures: dict[str, Any] = {"machine": where, "tables": {t.title: t.data for t in tables}}
        asked.json.write_text(json.dumps(figures, indent=1, default=str) + "\n")


def study(asked: argparse.Namespace, real: Dataset, test: Dataset) -> list[Table]:
    """Run the requested sections."""
    extractors = kinds(asked.features, real.shape[:2], asked.weights)
    with tempfile.TemporaryDirectory() as passing:
        samples = {}
        if asked.run and "ranking" in asked.only:
            samples = weaker(asked.run, asked.n, asked.cache or Path(passing), progress)
    rows, level, tables = {}, {}, []
    for extractor in extractors:
        name = extractor.name
        progress(f"{name}: real images")
        theirs, ours = extract_once(extractor, real), extract(extractor, test)
        normal = frechet.fit(theirs)
        sets = disjoint(ours, asked.n, 5, normal)
        level[name] = sets[0]
        if "floor" in asked.only:
            tables.append(floors(extractor, theirs, ours, normal))
        if "ranking" in asked.only:
            rows[name] = rank(extractor, normal, test, asked.n, samples, progress)
        if "apart" in asked.only:
            usual = float(np.mean(sets))
            pairs = apart(extractor, normal, test, asked.n, usual, progress)
            tables.append(differences(pairs, name, asked.n, usual))
    if rows:
        tables[:0] = ranking(rows, level, asked.n)
    if "speed" in asked.only:
        tables.append(pace(extractors, asked.threads, real.shape[:2]))
    progress("")
    return tables


if __name__ == "__main__":
    main()
