"""Which recipe gives the better images in equal minutes, everything included.

    python benchmarks/recipe.py DATA --for 10m --ways now before diffusers --seeds 0 1 2 --out DIR

Each way trains in a process of its own for the same time, from the start of its command to its end:

- now: ``ddpm train`` with its defaults, which includes the search for guidance;
- before: the default recipe of earlier development versions as explicit settings: U-Nets with group norms and AdamW,
  fixed guidance, no search. The row of its ladder is chosen as they did, by measured speeds, at no cost in time here;
- diffusers: a plain loop around the network of its unconditional example, with class embeddings if there are classes,
  sampled with DDIM in 50 steps and with DPM-Solver++ in 20.

A fifth of DATA, or all of ``--reference``, is held out from training; all samples are measured against it by the same
code. The classifier is trained on the training images. Ratios are of Fréchet distances, the first way over each other.
Runs and samples are kept in DIR: re-run the same command to resume, with more ways or seeds if you like.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from recipe_study.data import split
from recipe_study.quality import FEW_SEEDS, Quality, Standard, mean, ratio
from recipe_study.ways import WAYS, Facts, Session
from side_by_side.machine import machine
from side_by_side.table import Table

from ddpm.images.sheets import sheet
from ddpm.metrics.estimate import Estimate
from ddpm.system.device import best_device
from ddpm.system.units import duration
from ddpm.system.units import size as parse_size

METRICS = {
    # name -> column, factor, digits
    "frechet": ("Fréchet", 1, 2),
    "kid": ("KID", 1, 3),
    "recall": ("recall", 1, 3),
    "coverage": ("coverage", 1, 3),
    "accuracy": ("accuracy, %", 100, 1),
}
COST = ("images trained", "images/s", "minutes", "CPU minutes")
SHOWN = 64


def cells(found: dict[str, Estimate], *, interval: bool) -> list[str]:
    """The values of all metrics, with their intervals if wanted."""
    words = []
    for name, (_, scale, digits) in METRICS.items():
        if name not in found:
            words.append("")
            continue
        value, low, high = (f"{scale * x:.{digits}f}" for x in (found[name].value, found[name].low, found[name].high))
        words.append(f"{value} ({low} – {high})" if interval else value)
    return words


def cost(facts: Sequence[Facts]) -> list[str]:
    """What training took, on average."""
    images, speed, seconds, cpu = np.mean([[f.images, f.speed, f.seconds, f.cpu_seconds] for f in facts], 0)
    return [f"{images:,.0f}", f"{speed:,.0f}", f"{seconds / 60:.2f}", f"{cpu / 60:.2f}"]


def pictures(drawn: np.ndarray, labels: np.ndarray | None) -> Image.Image:
    """A sheet of the first images, by class."""
    some = drawn[:SHOWN]
    return sheet(some if labels is None else some[np.argsort(labels[:SHOWN], kind="stable")], columns=8)


def tabulate(
    title: str, seeds: list[int], found: dict[str, list[Quality]], facts: dict[str, list[Facts]], floor: Quality
) -> Table:
    """A row for each way and seed, one for each way's mean, and one for real images."""
    table = Table(title, ["", *(column for column, *_ in METRICS.values()), *COST])
    for way, each in found.items():
        for seed, quality, fact in zip(seeds, each, facts[way], strict=True):
            table.rows.append((f"{way}, seed {seed}", *cells(quality, interval=False), *cost([fact])))
    for way, each in found.items():
        means = {name: mean([quality[name] for quality in each]) for name in each[0]}
        table.rows.append((f"**{way}**", *cells(means, interval=True), *cost(facts[way])))
    table.rows.append(("training images", *cells(floor, interval=False), *[""] * len(COST)))
    return table


def intervals(seeds: int) -> str:
    """What the intervals of means and ratios are of."""
    if seeds >= FEW_SEEDS:
        return f"Means of {seeds} seeds with 95 % intervals over seeds (Student's t); ratios are paired by seed."
    return "Intervals of 95 % over the images of a run only: fewer than three seeds do not show how much seeds vary."


def dumped(found: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    """For JSON."""
    return {name: one.model_dump() for name, one in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a folder of images, a .zip or an .npz, or digits")
    parser.add_argument("--for", dest="budget", default="10m", help="time of each training: 90s, 20m")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True, help="folder of runs, samples, sheets and figures")
    parser.add_argument("-n", type=int, default=1000, help="samples of each run")
    parser.add_argument("--reference", help="held-out images; a fifth of DATA by default")
    parser.add_argument("--size", type=parse_size, help="side of the images, or height x width")
    parser.add_argument("--mode", choices=("L", "RGB", "RGBA"), help="mode of the images")
    parser.add_argument("--width", type=int, default=128, help="channels of diffusers' network, a multiple of 32")
    args = parser.parse_args()
    duration(args.budget)  # refused before anything is trained

    images = split(args.out, args.data, args.reference, args.size, args.mode)
    session = Session(args.out, images, args.budget, args.width)
    facts: dict[str, list[Facts]] = {}
    for number, seed in enumerate(args.seeds):
        # in turn, and every second time backwards, so that a machine that only ever slows down favours none
        for way in reversed(args.ways) if number % 2 else args.ways:
            print(f"{way}, seed {seed}: training for {args.budget}", flush=True)
            facts.setdefault(way, []).append(session.trained(way, seed))

    standard, labels = Standard.of(images, args.out), images.labels(args.n)
    found: dict[str, list[Quality]] = {}
    for seed, way in product(args.seeds, args.ways):
        for name, drawn in session.samples(way, seed, args.n).items():
            found.setdefault(name, []).append(standard.measure(drawn))
            facts.setdefault(name, facts[way])
            if seed == args.seeds[0]:
                pictures(drawn, labels).save(args.out / f"{name.replace(', ', '-').replace(' ', '-')}.png")

    n, held = args.n, len(images.reference)
    right = "" if standard.right is None else f"; the classifier is right on {100 * standard.right:.1f} % of them"
    title = f"{args.budget} each, {n} samples, measured against {held} held-out images of {args.data}{right}"
    floor = standard.floor(n)
    table = tabulate(title, args.seeds, found, facts, floor)
    where = machine(best_device().type, torch.get_num_threads())
    lines = [f"{name}: {words}" for name, words in where.items()]
    lines += [str(table), "", intervals(len(args.seeds)), ""]
    first, *others = found
    quotients = {
        other: ratio([q["frechet"] for q in found[first]], [q["frechet"] for q in found[other]]) for other in others
    }
    lines += [
        f"{first} / {other}: distance × {q.value:.2f} ({q.low:.2f} – {q.high:.2f})" for other, q in quotients.items()
    ]
    text = "\n".join(lines)
    print(text)
    (args.out / "recipe.md").write_text(text + "\n")
    figures = {
        "machine": where,
        "arguments": vars(args),
        "qualities": {name: [dumped(quality) for quality in each] for name, each in found.items()},
        "facts": {name: [asdict(fact) for fact in facts[name]] for name in found},
        "training_images": dumped(floor),
        "ratios": dumped(quotients),
    }
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
