"""Quality of samples in few steps, compared with ancestral sampling in many.

    python benchmarks/few_step_quality.py RUN [--data DATA] [-n 1000] [--ways dpm++-2m:trailing unipc-2:quadratic]

Draws the same seeds by each solver and grid in each number of network calls, and by ancestral sampling in 1,000 steps,
with the run's own guidance, and measures the Fréchet distance to DATA, by default the run's own images, on the embedded
features. Ratios are to ancestral sampling; their 95 % intervals come from resampled seeds, the same for both. Samples
are kept: re-run the same command to resume.

With --students, each student of RUN follows in every number of steps that it learned, with its recall, and the time of
its images and of RUN's own in 20 steps is measured in turns.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side.machine import machine
from side_by_side.table import Table

from ddpm import build
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.open import open_source
from ddpm.engine import options
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.images.geometry import Geometry
from ddpm.metrics import frechet, manifold
from ddpm.metrics.estimate import Estimate, resamples
from ddpm.metrics.features.extract import extract

REFERENCE = "ancestral:uniform"
CALLS_A_STEP = {"heun": 2, "dpm-solver-2": 2, "dpm++-2s": 2, "dpm-solver-3": 3}
OWN = "own"
"""The way that a run samples by itself: tuned for this many steps, or as a student learned."""
RESAMPLED = 200
ROUNDS, BATCH, STEPS = 5, 64, 20
"""How speed is measured."""


class Samples:
    """A store of features of a run's samples in a folder."""

    def __init__(self, run: LoadedRun, args: argparse.Namespace, folder: Path, extractor: Callable[..., Any]) -> None:
        self.run, self.n, self.seed, self.precision = run, args.n, args.seed, args.precision
        self.folder, self.extractor = folder, extractor

    def __call__(self, way: str, calls: int) -> torch.Tensor:
        """(n, D) features of the same n seeds, the run's classes in turn."""
        path = self.folder / f"{way.replace(':', '-')}-{calls}-{self.n}-{self.seed}-{self.precision or 'fp32'}.npy"
        if not path.exists():
            solver, _, grid = way.partition(":")
            settings = {"steps": max(1, calls // CALLS_A_STEP.get(solver, 1))}
            if way != OWN:
                settings |= {"solver": solver, "grid": grid}
            how = options.settings(self.run, settings | ({"precision": self.precision} if self.precision else {}))
            classes = len(self.run.classes)
            drawn = []
            for first in range(0, self.n, 64):
                indices = list(range(first, min(first + 64, self.n)))
                labels = [i % classes for i in indices] if classes else None
                drawn.append(self.run.draw(how, Subjects(labels and tuple(labels)), self.seed, indices))
            np.save(path, extract(self.extractor, Dataset(np.concatenate(drawn))).numpy())
        return torch.from_numpy(np.load(path))


def ratio(features: torch.Tensor, reference: torch.Tensor, real: frechet.Normal) -> tuple[float, float, float]:
    """Compute the ratio of two distances from the real images, with an interval."""

    def of(rows: torch.Tensor) -> float:
        near, far = (frechet.distance(frechet.fit(one[rows]), real) for one in (features, reference))
        return near / far

    generator = torch.Generator().manual_seed(0)
    n = len(features)
    # half of the seeds without repeats, as repeats would add to the bias of both distances
    seen = torch.tensor([of(torch.randperm(n, generator=generator)[: n // 2]) for _ in range(RESAMPLED)])
    found = of(torch.arange(n))
    low, high = (seen - seen.mean()).quantile(torch.tensor([0.025, 0.975])).tolist()
    return found, found + low, found + high


def students(runs: list[LoadedRun], args: argparse.Namespace, out: Path, extractor: Any, theirs: torch.Tensor) -> Table:
    """A table of students: distance and recall with their intervals in each number of steps."""
    counts = sorted({len(path) for run in runs for path in run.config.paths})
    real, table = frechet.fit(theirs), Table("students: distance; recall", ["", *map(str, counts)])
    for run in runs:
        folder = out / Path(run.source).name
        folder.mkdir(exist_ok=True)
        samples, cells = Samples(run, args, folder, extractor), []
        for count in counts:
            if count not in map(len, run.config.paths):
                cells.append("")
                continue
            features = samples(OWN, count)
            drawn = resamples(len(features), RESAMPLED)
            recall = manifold.estimate(features, theirs, drawn)[1]
            cells.append(f"{spelled(frechet.estimate(features, real, drawn))}; {spelled(recall)}")
            print(run.source, count, cells[-1], flush=True)
        table.rows.append((str(run.source), *cells))
    return table


def spelled(found: Estimate) -> str:
    return f"{found.value:.3g} ({found.low:.3g} – {found.high:.3g})"


def speeds(teacher: LoadedRun, runs: list[LoadedRun]) -> Table:
    """Images per second of CPU time, the best of rounds in which all take turns, and how many times the teacher's."""
    ways = [(teacher, options.settings(teacher, {"steps": STEPS}))]
    ways += [(run, options.settings(run, {})) for run in runs]
    labels = [i % len(teacher.classes) for i in range(BATCH)] if teacher.classes else None
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS):
        for k, (run, how) in enumerate(ways):
            began = time.process_time()
            run.draw(how, Subjects(labels and tuple(labels)), 0, list(range(BATCH)))
            best[k] = min(best[k], time.process_time() - began)
    table = Table("images per second", ["", "steps", "images/s", "× teacher"])
    for (run, how), seconds in zip(ways, best, strict=True):
        table.rows.append((str(run.source), str(how.steps), f"{BATCH / seconds:.0f}", f"{best[0] / seconds:.1f}"))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="the run's own images by default")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--calls", type=int, nargs="+", default=[5, 8, 10, 20, 50])
    ways = ["ddim:trailing", "dpm++-2m:trailing", "unipc-2:trailing", "unipc-2:power"]
    parser.add_argument("--ways", nargs="+", default=ways)
    parser.add_argument("--many", type=int, default=1000, help="steps of ancestral sampling; 0 for none")
    parser.add_argument("--precision", choices=("bf16", "fp16"), help="precision of the network; fp32 by default")
    parser.add_argument("--students", type=Path, nargs="*", default=[], help="students of RUN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="RUN/few-steps by default")
    args = parser.parse_args()
    out = args.out or args.run / "few-steps"
    out.mkdir(parents=True, exist_ok=True)

    run = load(args.run)
    data = run.config.data
    images = prepare(open_source(args.data or data.source), Geometry(data.size, data.mode, data.fit))
    extractor = build.build_features("embedded", None, data.size, run.engine.device)
    theirs = extract(extractor, images)
    real = frechet.fit(theirs)
    samples = Samples(run, args, out, extractor)
    some = torch.randperm(len(theirs), generator=torch.Generator().manual_seed(0))[: args.n]
    floor = frechet.distance(frechet.fit(theirs[some]), real)

    figures: dict[str, Any] = {"machine": machine("cpu", torch.get_num_threads()), "floor": floor, "ways": {}}
    reference = samples(REFERENCE, args.many) if args.many else None
    if reference is not None:
        figures["reference"] = frechet.distance(frechet.fit(reference), real)
        print(f"{REFERENCE} {args.many}: {figures['reference']:.3f}", flush=True)
    table = Table(f"Fréchet distance, n = {args.n}; as many real images {floor:.3f}", ["", *map(str, args.calls)])
    for way in args.ways:
        cells = []
        for calls in args.calls:
            features = samples(way, calls)
            found = {"frechet": frechet.distance(frechet.fit(features), real)}
            cell = f"{found['frechet']:.3f}"
            if reference is not None:
                found["ratio"], found["low"], found["high"] = ratio(features, reference, real)
                cell += f", {found['ratio']:.3f} ({found['low']:.3f} – {found['high']:.3f})"
            figures["ways"].setdefault(way, {})[calls] = found
            cells.append(cell)
            print(way, calls, cell, flush=True)
        table.rows.append((way, *cells))
    print(table)
    if args.students:
        taught = [load(student) for student in args.students]
        print(students(taught, args, out, extractor, theirs))
        print(speeds(run, taught))
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
