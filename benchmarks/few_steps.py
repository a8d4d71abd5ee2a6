"""Distance from the exact solution in few evaluations: ddpm, diffusers and k-diffusion.

    pip install --no-deps k-diffusion        # only its sampling module is used; its rows are optional
    python benchmarks/few_steps.py
    python benchmarks/few_steps.py --solver unipc-2 --schedule cosine --calls 5 10 20 50      # one row per grid

The data are scikit-learn's 1,797 digits, each the centre of a Gaussian of standard deviation 0.05, so that the expected
image given a noisy one is a formula. The process is linear, T = 1000. From 256 fixed starts, each solver of a library
takes as many steps as the network calls allow, on its own library's grids and on ours. The error of an image is its
root mean square distance from the reference: Heun's method in 2,000 steps evenly spaced in log-SNR.

Figures read "median / mean / flipped". A few images end at the wrong digit and dominate the mean; the median shows the
others. So the best by the median and the best by the mean are both shown. "Tuned" grids are tuned for the model
(ddpm.sampling.tuning) on 128 other starts.
"""

import argparse
import json
import math
import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from few_step_study.digits import Digits, Rows, solve, starts
from few_step_study.ours import deterministic, ours, tuned
from few_step_study.peers import diffusers_rows, k_diffusion_rows

from ddpm import build
from ddpm.sampling.grid import LogSNR

COUNTS = (5, 6, 8, 10, 15, 20)


def best_of(rows: Rows, by: str) -> dict[int, str]:
    """Find the best row by one of the figures: evaluations -> its name."""
    there = sorted({count for row in rows.values() for count in row})
    return {c: min((getattr(row[c], by), name) for name, row in rows.items() if c in row)[1] for c in there}


def best_lines(found: dict[str, Rows], counts: Sequence[int]) -> Iterator[str]:
    yield "| evaluations | " + " | ".join(map(str, counts)) + " |"
    yield "|---" * (len(counts) + 1) + "|"
    for library, rows in found.items():
        for by in ("median", "mean") if rows else ():
            best = best_of(rows, by)
            figures = (str(rows[best[c]][c]) if c in best else "" for c in counts)
            yield f"| {library}, {by} | " + " | ".join(figures) + " |"
            yield "| | " + " | ".join(best.get(c, "") for c in counts) + " |"


def row_lines(rows: Rows, counts: Sequence[int]) -> Iterator[str]:
    yield "| evaluations | " + " | ".join(map(str, counts)) + " |"
    yield "|---" * (len(counts) + 1) + "|"
    for name, row in rows.items():
        yield f"| {name} | " + " | ".join(str(row[c]) for c in counts) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=COUNTS)
    parser.add_argument(
        "--solver", nargs="+", default=[], help="only these of ddpm, with a row for each of their grids"
    )
    parser.add_argument("--schedule", choices=list(build.SCHEDULES), default="linear", help="with --solver")
    parser.add_argument("--out", type=Path, help="write every error to this JSON file")
    given = parser.parse_args()
    if given.schedule != "linear" and not given.solver:
        parser.error("the peers are measured only on the linear schedule; use --solver with another")
    schedule, denoise, noise, counts = build.SCHEDULES[given.schedule](1000), Digits(), starts(0), tuple(given.calls)
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, diffusers {version('diffusers')}")
    reference = deterministic(schedule)["heun"]
    end = solve(denoise, reference, LogSNR(math.inf)(schedule, 2000), noise)
    if given.solver:
        found = {"ours": ours(denoise, schedule, counts, noise, end, tuple(given.solver))}
        print("\n".join(row_lines(found["ours"], counts)))
    else:
        found = {
            "ours": ours(denoise, schedule, counts, noise, end),
            "diffusers": diffusers_rows(denoise, schedule, counts, noise, end),
            "k-diffusion": k_diffusion_rows(denoise, schedule, counts, noise, end),
            "ours, tuned": tuned(denoise, schedule, noise, end),
        }
        print("\n".join(best_lines(found, counts)))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
