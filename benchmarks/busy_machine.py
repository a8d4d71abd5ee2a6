"""Training speed beside other programs, with the number of threads chosen by measuring and fixed.

    python benchmarks/busy_machine.py [DATA] [--seconds 60] [--rounds 2] [--spin 1000 10000]

Runs `ddpm train DATA` as a whole command (by default on random images of 32 × 32) on an idle machine, beside a program
that spins, and beside another training, and reads the speed from its log over the last half of the time. Arms take
turns, so that a change of the machine meets them all. ``--spin`` adds arms with other spin counts of GNU OpenMP.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from side_by_side.machine import machine
from side_by_side.table import Table

SPINNER = "while True: pass"
NEIGHBOURS = ("none", "a spinning program", "another training")
FLAGS = ("--images", "100k", "--set", "training.log_every=128", "--set", "training.previews=1")


def clean() -> dict[str, str]:
    """The environment without any setting of OpenMP."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}


def training(data: str, out: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ddpm", "train", data, "--out", str(out), *FLAGS]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@contextmanager
def beside(neighbour: str, data: str, folder: Path) -> Iterator[None]:
    """Run a neighbour; a training has PyTorch's own number of threads."""
    if neighbour == "none":
        yield
        return
    fixed = clean() | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    spinner = [sys.executable, "-c", SPINNER]
    other = subprocess.Popen(spinner) if neighbour.endswith("program") else training(data, folder / "neighbour", fixed)
    try:
        yield
    finally:
        other.kill()
        other.wait()


def speed(data: str, out: Path, environment: dict[str, str], seconds: float) -> float:
    """Images per second over the last half of the time since training began."""
    process = training(data, out, environment)
    log = out / "log.jsonl"
    while not (log.exists() and '"train"' in log.read_text()):
        if process.poll() is not None:
            assert process.stderr is not None
            sys.exit(process.stderr.read().decode())
        time.sleep(0.2)
    time.sleep(seconds / 2)
    first, began = seen(log)
    time.sleep(seconds / 2)
    last, ended = seen(log)
    while last == first:
        time.sleep(1)
        last, ended = seen(log)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return (last - first) / (ended - began)


def seen(log: Path) -> tuple[int, float]:
    """The images of the last line of the log, and when it was written."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return max(line["images"] for line in lines), log.stat().st_mtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--spin", nargs="*", default=[])
    args = parser.parse_args()
    most = torch.get_num_threads()
    arms = {"chosen by measuring": {}, f"{most} threads": {"OMP_NUM_THREADS": str(most)}}
    arms |= {"1 thread": {"OMP_NUM_THREADS": "1"}} if most > 1 else {}
    arms |= {f"chosen, spin count {spin}": {"GOMP_SPINCOUNT": spin} for spin in args.spin}
    speeds: dict[str, dict[str, list[float]]] = {arm: {name: [] for name in NEIGHBOURS} for arm in arms}
    with tempfile.TemporaryDirectory() as temporary:
        data = args.data
        if data is None:
            data = f"{temporary}/random.npz"
            pixels = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
            np.savez(data, images=pixels)
        os.environ["DDPM_CACHE"] = f"{temporary}/cache"
        for turn in range(args.rounds):
            for neighbour in NEIGHBOURS:
                for number, (arm, settings) in enumerate(arms.items()):
                    folder = Path(temporary) / f"{turn}-{NEIGHBOURS.index(neighbour)}-{number}"
                    with beside(neighbour, data, folder):
                        found = speed(data, folder / "run", clean() | settings, args.seconds)
                    speeds[arm][neighbour].append(found)
                    print(f"{neighbour}, {arm}: {found:.0f} images/s", file=sys.stderr, flush=True)
    table = Table("Training beside other programs, images per second", ("", *NEIGHBOURS))
    for arm, beside_each in speeds.items():
        table.rows.append((arm, *(f"{statistics.mean(values):.0f}" for values in beside_each.values())))
    table.data = {"machine": machine("cpu", most), "images_per_s": speeds}
    print(table)
    print(json.dumps(table.data))


if __name__ == "__main__":
    main()
