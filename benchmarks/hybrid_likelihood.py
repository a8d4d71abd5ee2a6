"""Bits per dimension of a hybrid run with cosine levels against a simple one with linear levels, on photographs.

    python benchmarks/hybrid_likelihood.py cifar10-train.zip cifar10-test.zip --images 300k --out runs/likelihood

Two equal networks without labels see the same images in the same order: one is trained as in Ho et al. 2020 (linear
schedule, simple loss, fixed variance), one as in Nichol & Dhariwal 2021 (cosine schedule, hybrid loss, learned
variance), both with T = 1000 and eps prediction. Then the bound of the same test images is measured in 1000 steps, with
``--terms`` of the KL terms sampled for each image, and in 100 and 25 steps. The fixed variance is the run's, the lower
bound; the upper one is also measured on the same weights. Re-run the same command to resume.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from ddpm.records.likelihood import FILE, BitsRecord

NETWORK = ["--set", "network.width=64", "--set", "network.blocks=1", "--set", "network.patch=2"]
TRAINING = ["--no-labels", "--flip", "--batch", "64", "--lr", "0.0015"]
RUNS = {
    "simple": ["--schedule", "linear", "--prediction", "eps"],
    "hybrid": ["--schedule", "cosine", "--prediction", "eps", "--loss", "hybrid", "--variance", "learned"],
}


def ddpm(*argv: str) -> None:
    subprocess.run([sys.executable, "-m", "ddpm", *argv], check=True)


def with_large_variance(run: Path) -> Path:
    """Copy the weights next to a config that takes the upper bound of the variance."""
    other = run.with_name(f"{run.name}-large")
    other.mkdir(exist_ok=True)
    shutil.copy(run / "model.safetensors", other)
    config = json.loads((run / "config.json").read_text())
    config["diffusion"]["variance"] = "large"
    (other / "config.json").write_text(json.dumps(config))
    return other


def measure(run: Path, test: str, n: int, steps: int, terms: int | None) -> BitsRecord:
    """Measure the bound of n test images in this many steps."""
    flags = ["--terms", str(terms)] if terms else []
    ddpm("likelihood", str(run), "--data", test, "-n", str(n), "--steps", str(steps), *flags)
    records = [BitsRecord.read(path) for path in run.glob(f"likelihood/*/{FILE}")]
    return next(r for r in records if (r.n, r.how.steps, r.how.terms) == (n, steps, terms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--images", default="300k")
    parser.add_argument("--out", type=Path, default=Path("runs/likelihood"))
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--terms", type=int, default=100)
    given = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}")
    for name, flags in RUNS.items():
        ddpm(
            "train", given.train, "--images", given.images, "--out", str(given.out / name), *NETWORK, *TRAINING, *flags
        )
    runs = {name: given.out / name for name in RUNS}
    runs["simple, large variance"] = with_large_variance(runs["simple"])
    rows = []
    for name, run in runs.items():
        for steps, terms in ((1000, given.terms), (100, None), (25, None)):
            r = measure(run, given.test, given.n, steps, terms)
            rows.append(
                f"| {name} | {steps} | {r.mean:.3f} ± {r.stderr:.3f} | {r.prior:.1g} | {r.kl:.3f} | {r.decoder:.3f} |"
            )
    print("| run | steps | bits/dim | prior | KL | decoder |\n|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
