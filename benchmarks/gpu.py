"""Measure what each option of training and sampling gains on a GPU, beside diffusers, in at most ten minutes.

    python benchmarks/gpu.py [--json FILE] [--only train sample] [--batch 128] [--device cpu --quick]

Each row is a process of its own, so that an option that fails, as some GPUs or builds lack it, is a row that says why.
See README.md in this folder.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from gpu_options import Option, measured, sampling_flops
from side_by_side.machine import machine, peak_tflops
from side_by_side.subject import Subject, training_flops
from side_by_side.table import Table

from ddpm.system.units import say_bytes

BF16 = Option()
"""What `ddpm train` and `ddpm sample --precision bf16` do on a GPU."""
OPTIONS: dict[str, dict[str, Option]] = {
    "train": {
        "fp32": Option("fp32"),
        "bf16": BF16,
        "bf16, not channels last": Option(channels_last=False),
        "bf16, optimiser not fused": Option(fused=False),
        "bf16, four micro-batches": Option(micro_batches=4),
        "bf16, gradient checkpointing": Option(checkpoint=True),
        "bf16, torch.compile": Option(compile="default"),
        "bf16, torch.compile, not channels last": Option(compile="default", channels_last=False),
        "diffusers, bf16": Option(theirs=True),
    },
    "sample": {
        "fp32": Option("fp32"),
        "bf16": BF16,
        "bf16, not channels last": Option(channels_last=False),
        "bf16 weights": Option(half_weights=True),
        "bf16, CUDA graph": Option(graph=True),
        "bf16 weights, CUDA graph": Option(half_weights=True, graph=True),
        "bf16, torch.compile": Option(compile="default"),
        "bf16, torch.compile, its CUDA graphs": Option(compile="reduce-overhead"),
        "diffusers, bf16": Option(theirs=True),
    },
}
SMALL = {"width": 64, "multipliers": (1,), "blocks": 1, "attention": ()}
"""The network of --quick."""


def main() -> None:
    a = arguments()
    subject = Subject(SMALL if a.quick else {}, 8 if a.quick else 32, a.batch, a.device)
    steps, seconds = (2, 0.1) if a.quick else (20, 5.0)
    if a.row is not None:
        print(json.dumps(measured(a.only[0], OPTIONS[a.only[0]][a.row], subject, steps, seconds)))
        return
    end, tables = time.monotonic() + 60 * a.minutes, []
    for act in a.only:
        flops = training_flops(subject) if act == "train" else sampling_flops(subject, steps)
        title = "Training" if act == "train" else f"Sampling, {steps} steps of DDIM"
        table = Table(f"{title}, {subject.batch} images at a time", COLUMNS)
        for name in OPTIONS[act]:
            found = row(act, name, end)
            table.rows.append(words(name, found, flops))
            table.data[name] = found
            print(f"{act}: {table.rows[-1]}", file=sys.stderr)
        tables.append(table)
    where = machine(a.device, torch.get_num_threads())
    for line in (*(f"{name}: {value}" for name, value in where.items()), *tables):
        print(line)
    if a.json is not None:
        found = {"machine": where, "subject": asdict(subject), "tables": {t.title: t.data for t in tables}}
        a.json.write_text(json.dumps(found, indent=1))


COLUMNS = ("", "images/s", "of the peak", "memory", "first", "error")


def row(act: str, name: str, end: float) -> dict[str, Any]:
    """What a process measures, or {"failed": why}."""
    left = end - time.monotonic()
    if left <= 0:
        return {"failed": "no time left"}
    command = [sys.executable, *sys.argv, "--only", act, "--row", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return {"failed": "no time left"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {"failed": next((line for line in reversed(lines) if "Error" in line), f"exit code {done.returncode}")}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def words(name: str, found: dict[str, Any], flops: int) -> tuple[str, ...]:
    """A row of the table; the share of the peak is that of bf16."""
    if "failed" in found:
        return (name, f"failed: {found['failed'][:90]}", "", "", "", "")
    speed, peak = found["images_per_s"], peak_tflops()
    share = "" if peak is None else f"{100 * speed * flops / (peak * 1e12):.1f} %"
    ready = f"{found['ready_s']:.1f} s" if "ready_s" in found else ""
    error = f"{found['error']:.1e}" if "error" in found else ""
    return name, f"{speed:.1f}", share, say_bytes(found["peak"]), ready, error


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--only", nargs="+", choices=list(OPTIONS), default=list(OPTIONS))
    parser.add_argument("--row", help="measure only this row, in this process")
    parser.add_argument("--batch", type=int, help="images at a time; 128 by default, 4 with --quick")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=10, help="rows that do not fit are left out")
    parser.add_argument("--quick", action="store_true", help="a tiny network, to try the script")
    a = parser.parse_args()
    a.batch = a.batch or (4 if a.quick else 128)
    return a


if __name__ == "__main__":
    main()
