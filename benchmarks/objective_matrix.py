"""Check that every objective learns the digits from configuration alone.

    python benchmarks/objective_matrix.py [--all] [--out runs/matrix]

Trains a small network on scikit-learn's digits for every combination of prediction × weighting at uniform levels,
prediction × level sampling at the simple weighting, weighting × level sampling at v prediction (``--all``: the whole
product of the three), and schedule × prediction at the defaults; about two hours on one core. Each draws 192 samples
with its own settings, and a linear classifier on features of the real digits classifies them: a run is recognisable if
at least 90 % of its samples are classified as the requested digit.

Refused configurations are listed with their errors. Those refused because their weights concentrate on too few levels
are trained anyway, without the check, and so are some others near its threshold on either side, to compare the
threshold with the results. With importance T is 100: with 1000 levels these runs see too few images for ten losses of
each, and importance would never start.

Results are kept: re-run the same command to resume. OUT/matrix.json has all figures, OUT/sheet-….png the digits 0 to 9
of each run.
"""

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
import torch
from objective_study.digits import Failed, train
from PIL import Image, ImageDraw
from side_by_side.machine import machine
from side_by_side.table import Table

import ddpm
from ddpm.images.sheets import sheet
from ddpm.planning import narrow
from ddpm.system.errors import InputError
from ddpm.system.names import LevelSamplingName, PredictionName, ScheduleName, WeightingName

SCHEDULES, PREDICTIONS = get_args(ScheduleName), get_args(PredictionName)
WEIGHTINGS, LEVELS = get_args(WeightingName), get_args(LevelSamplingName)
SAMPLES = 192
ENOUGH = 0.9
"""The accuracy from which a run counts as recognisable."""
SAMPLING = {"sampling.steps": 25, "sampling.guidance": 2.0}


@dataclass(frozen=True)
class Case:
    """One objective; the fields are the flags of ``ddpm train``."""

    schedule: str = "cosine"
    prediction: str = "v"
    weighting: str = "simple"
    levels: str = "uniform"

    @property
    def name(self) -> str:
        return "_".join(asdict(self).values())

    @property
    def changes(self) -> dict[str, Any]:
        few = {"diffusion.T": 100} if self.levels == "importance" else {}
        return few | {
            "diffusion.schedule": self.schedule,
            "diffusion.prediction": self.prediction,
            "objective.weighting": self.weighting,
            "objective.levels": self.levels,
        }


NEAR = (
    Case("sigmoid", "eps", "constant", "uniform"),
    Case("flow", "x0", "snr", "uniform"),
    Case("vp", "x0", "snr", "stratified"),
    Case("sub-vp", "x0", "snr", "logit-normal"),
    Case("vp", "x0", "snr", "uniform"),
    Case("linear", "x0", "snr", "uniform"),
    Case("edm", "x0", "snr", "logit-normal"),
    Case("sigmoid", "x0", "snr", "uniform"),
    Case("sigmoid", "eps", "constant", "log-normal"),
    Case("cosine", "x0", "snr", "log-normal"),
    Case("edm", "x0", "snr", "uniform"),
)
"""Others whose weights concentrate on 0.1 to 5 % of the levels."""


def cases(*, every: bool) -> list[Case]:
    """List each once, nearest to the defaults first: all pairs or triples, schedules, those near the threshold."""
    found = [Case(schedule=s, prediction=p) for s, p in product(SCHEDULES, PREDICTIONS)]
    found += [Case(prediction=p, weighting=w) for p, w in product(PREDICTIONS, WEIGHTINGS)]
    found += [Case(prediction=p, levels=n) for p, n in product(PREDICTIONS, LEVELS)]
    found += [Case(weighting=w, levels=n) for w, n in product(WEIGHTINGS, LEVELS)]
    found += NEAR
    if every:
        found += [Case("cosine", *three) for three in product(PREDICTIONS, WEIGHTINGS, LEVELS)]
    return sorted(dict.fromkeys(found), key=lambda case: len(set(asdict(case).items()) - set(asdict(Case()).items())))


@contextmanager
def any_concentration() -> Iterator[None]:
    """Accept weights on few levels."""
    with patch.object(narrow, "FEWEST_LEVELS", 0.0):
        yield


def run(case: Case, home: Path, images: int, seed: int) -> dict[str, Any]:
    """Train and measure a case, or say why it is refused."""
    result: dict[str, Any] = asdict(case) | {"images": images, "seed": seed, "refused": None}
    changes = case.changes | SAMPLING | {"training.seed": seed}
    began = time.process_time()
    try:
        try:
            train(home, images, changes)
        except InputError as e:
            result["refused"] = str(e)
            with any_concentration():
                train(home, images, changes)
        result |= measured(home)
    except InputError as e:  # for a reason other than its weights
        result["refused"] = str(e)
    except (Failed, ArithmeticError, RuntimeError) as e:
        result["failed"] = f"{type(e).__name__}: {e}"
    return result | {"cpu_seconds": time.process_time() - began}


def measured(home: Path) -> dict[str, Any]:
    """Measure a trained run; its ten digits are kept next to it."""
    score = ddpm.evaluate(home, n=SAMPLES)
    pipe = ddpm.load(home)
    digits = np.stack([np.asarray(i) for i in pipe.sample(10, label=list(range(10)), seed=1)])[..., None]
    np.save(home / "digits.npy", digits)
    assert score.accuracy is not None
    logged = [json.loads(line) for line in (home / "log.jsonl").read_text().splitlines()]
    return {
        "accuracy": score.accuracy.value,
        "by_class": score.accuracy.by_class,
        "real": score.accuracy.real,
        "frechet": score.frechet.value,
        "floor": score.frechet.floor,
        "concentration": narrow.weight_share(pipe.config),
        "skipped_steps": logged[-1].get("skipped"),
    }


def page(results: dict[Case, dict[str, Any]], homes: dict[Case, Path], path: Path, scale: int = 3) -> None:
    """Draw the digits of each run on one picture, in three columns."""
    shown = [case for case in results if (homes[case] / "digits.npy").exists()]
    wide, high, columns = 9 * 10 * scale + 330, 9 * scale + 6, 3
    rows = -(-len(shown) // columns)
    whole = Image.new("L", (columns * wide, max(1, rows) * high), 255)
    draw = ImageDraw.Draw(whole)
    for k, case in enumerate(shown):
        x, y = k // rows * wide, k % rows * high
        digits = sheet(np.load(homes[case] / "digits.npy"), columns=10, gap=1)
        whole.paste(digits.resize((digits.width * scale, digits.height * scale), Image.Resampling.NEAREST), (x + 4, y))
        r = results[case]
        mark = "" if r["refused"] is None else "  refused"
        words = f"{case.name.replace('_', ' ')}  {100 * r['accuracy']:.0f} %  {r['frechet']:.3g}{mark}"
        draw.text((x + 9 * 10 * scale + 8, y + 4), words, 0)
    whole.save(path)


def tables(results: dict[Case, dict[str, Any]]) -> list[Table]:
    """List results by pairs, failures, and refused cases."""

    def grid(title: str, rows: tuple[str, ...], columns: tuple[str, ...], make: Any) -> Table:
        table = Table(title, ["", *columns])
        for row in rows:
            table.rows.append((row, *(said(results.get(make(row, column))) for column in columns)))
        return table

    made = [
        grid("schedule × prediction", SCHEDULES, PREDICTIONS, lambda s, p: Case(schedule=s, prediction=p)),
        grid("weighting × prediction", WEIGHTINGS, PREDICTIONS, lambda w, p: Case(prediction=p, weighting=w)),
        grid("levels × prediction", LEVELS, PREDICTIONS, lambda n, p: Case(prediction=p, levels=n)),
        grid("weighting × levels", WEIGHTINGS, LEVELS, lambda w, n: Case(weighting=w, levels=n)),
    ]
    weak = Table("Short of recognisable, or not trained", ["", "as asked", "Fréchet", "weight on, % of levels", ""])
    for case, r in results.items():
        if r["refused"] is None and r.get("accuracy", 0) >= ENOUGH:
            continue
        number = (f"{100 * r['accuracy']:.0f} %", f"{r['frechet']:.3g}") if "accuracy" in r else ("", "")
        share = f"{100 * r['concentration']:.3g}" if "concentration" in r else ""
        words = "refused" if r["refused"] else "failed" if "failed" in r else ""
        weak.rows.append((case.name.replace("_", " "), *number, share, words))
    few = Table("Weights on few levels", ["", "% of levels", "as asked", "Fréchet", ""])
    shares = {case: r["concentration"] for case, r in results.items() if r.get("concentration", 1) < 0.1}
    for case in sorted(shares, key=shares.__getitem__):
        number = (
            f"{100 * shares[case]:.2g}",
            f"{100 * results[case]['accuracy']:.0f} %",
            f"{results[case]['frechet']:.3g}",
        )
        few.rows.append((case.name.replace("_", " "), *number, "refused" if results[case]["refused"] else ""))
    return [*made, few, weak]


def said(result: dict[str, Any] | None) -> str:
    """Format a cell: accuracy and distance, in brackets if refused."""
    if result is None:
        return ""
    if "accuracy" not in result:
        return "failed" if "failed" in result else "refused"
    words = f"{100 * result['accuracy']:.0f} % {result['frechet']:.3g}"
    return words if result["refused"] is None else f"({words})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the whole product of prediction, weighting and levels")
    parser.add_argument("--images", type=int, default=10_000, help="images that each run sees")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="cases by name, such as cosine_v_simple_uniform")
    parser.add_argument("--show", action="store_true", help="print the existing results only")
    parser.add_argument("--out", type=Path, default=Path("runs/matrix"))
    args = parser.parse_args()

    wanted = cases(every=args.all)
    if args.only:
        wanted = [case for case in wanted if case.name in args.only]
    homes = {case: args.out / f"{case.name}-{args.images}-{args.seed}" for case in wanted}
    results: dict[Case, dict[str, Any]] = {}
    for case in wanted:
        path = homes[case] / "result.json"
        if args.show and not path.exists():
            continue
        if not path.exists():
            result = run(case, homes[case], args.images, args.seed)
            shutil.rmtree(homes[case] / "checkpoints", ignore_errors=True)
            homes[case].mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=1) + "\n")
        results[case] = json.loads(path.read_text())
        print(f"{case.name:40} {said(results[case])} {results[case].get('failed', '')}", flush=True)
    for table in tables(results):
        print(table)
    for case, result in results.items():
        if words := result["refused"] or result.get("failed"):
            print(f"\n{case.name}: {words}")
    where = machine("cpu", torch.get_num_threads())
    figures = {"machine": where, "cases": list(results.values())}
    (args.out / "matrix.json").write_text(json.dumps(figures, indent=1) + "\n")
    page(results, homes, args.out / "sheet.png")


if __name__ == "__main__":
    main()
