"""Compare ddpm with diffusers: the same network, the same batch, the same machine, in turns.

    python benchmarks/vs_diffusers.py [--json FILE] [--only train sample help] [--width 64] [--rounds 3]

Each contender runs in its own process and takes its turn in each round. Figures are medians over the rounds, with the
lowest and the highest, and ratios compare times within one round. See README.md in this folder.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from side_by_side.contender import Contender, Running, Spread, Turn, ratios, spread, start, take_turns
from side_by_side.machine import machine, peak_tflops
from side_by_side.subject import Subject, training_flops
from side_by_side.table import Table

from ddpm.system.device import best_precision

DIGITS = {"in_channels": 1, "out_channels": 1, "width": 64, "multipliers": (1, 2), "blocks": 1, "attention": (1, 2)}
"""The network for 8 x 8 images with a single channel."""


@dataclass(frozen=True)
class Session:
    """The settings of all measurements.

    Attributes:
        subject: the network and images, in plain float32.
        sample_batch: images drawn at a time.
        best: the precision that ddpm chooses here.
        times: acts a turn.
        tflops: what the device could compute in bf16, if known.
    """

    subject: Subject
    sample_batch: int
    best: str
    threads: int
    rounds: int
    times: int
    sampling_steps: int
    tflops: float | None

    @property
    def cuda(self) -> bool:
        return self.subject.device == "cuda"

    def turns(self, running: dict[str, Running], turns: Sequence[Turn], times: int) -> dict[Turn, list[float]]:
        return take_turns(running, turns, rounds=self.rounds, times=times, say=progress)


def training(s: Session) -> list[Table]:
    """Measure time and memory of a training step."""
    plain, best = s.subject, replace(s.subject, precision=s.best, channels_last=True)
    contenders = {
        "ddpm": Contender("ours.training", best, keep_freed=True),
        "diffusers' example": Contender("theirs.training", plain),
    }
    if not s.cuda:  # on a GPU the allocator keeps freed memory for both
        contenders["… and freed memory kept"] = Contender("theirs.training", plain, keep_freed=True)
    half = replace(plain, precision=s.best)
    contenders |= {
        f"… and {s.best}": Contender("theirs.training", half, keep_freed=True),
        f"… and {s.best}, channels last": Contender("theirs.training", best, keep_freed=True),
        "their network in ddpm's step": Contender("ours.training", best, True, {"peer": True}),
        "ddpm, fp32, contiguous": Contender("ours.training", plain, keep_freed=True),
        "their network in that": Contender("ours.training", plain, True, {"peer": True}),
    }
    equal = "diffusers' example" if s.cuda else "… and freed memory kept"
    pairs = {
        "both as they choose": ("diffusers' example", "ddpm"),
        f"equal: {s.best}, channels last": (f"… and {s.best}, channels last", "ddpm"),
        f"equal: {s.best}, theirs contiguous": (f"… and {s.best}", "ddpm"),
        "equal, and one training step: the networks alone": ("their network in ddpm's step", "ddpm"),
        "equal: fp32, contiguous": (equal, "ddpm, fp32, contiguous"),
        "equal, and one training step: the networks alone, fp32": ("their network in that", "ddpm, fp32, contiguous"),
    }
    if not s.cuda:
        pairs["as they choose, but freed memory kept by both"] = (equal, "ddpm")
        pairs["what keeping freed memory gives diffusers"] = ("diffusers' example", equal)
    if s.best == "fp32":  # this row exists already
        del contenders["… and fp32"], pairs["equal: fp32, theirs contiguous"]

    with start(contenders, s.threads) as running:
        took = s.turns(running, [(name, "step") for name in contenders], s.times)
        peaks = {name: process.peak() for name, process in running.items()}
        facts = {name: process.facts for name, process in running.items()}
    flops = training_flops(plain)

    reached_in = "share of bf16 peak" if s.tflops else "TFLOP/s"
    speed = Table(
        f"Training: {facts['ddpm']['weights'] / 1e6:.1f} M weights, {plain.size} x {plain.size}, batch {plain.batch}; "
        f"ddpm chooses {s.best}, channels last",
        ["", "ms a step", "images/s", reached_in, "peak memory, MB"],
        data={
            "seconds": {name: took[name, "step"] for name in contenders},
            "peak_bytes": peaks,
            "facts": facts,
            "flops_an_image": flops,
        },
    )
    for name in contenders:
        step = spread(took[name, "step"])
        reached = flops * plain.batch / step.median / 1e12
        share = f"{100 * reached / s.tflops:.1f} %" if s.tflops else f"{reached:.2f}"
        rate = f"{plain.batch / step.median:.1f}"
        speed.rows.append((name, step.say(1e3, 1), rate, share, f"{peaks[name] / 1e6:.0f}"))

    compared = {title: ratios(took, (a, "step"), (b, "step")) for title, (a, b) in pairs.items()}
    against = Table(
        "Training: how many times as long theirs takes as ours",
        ["", "times"],
        [(title, times.say(1, 2)) for title, times in compared.items()],
        {"ratios": compared},
    )
    memory = peaks["diffusers' example"] / peaks["ddpm"]
    against.rows.append(("peak memory, both as they choose", f"{memory:.2f}"))
    return [speed, against]


def sampling(s: Session) -> list[Table]:
    """Measure the overhead of the sampling loop, at the network's size and at that of digits."""
    large = replace(s.subject, batch=s.sample_batch)
    digits = replace(large, network=DIGITS, size=8, batch=16)
    tables = [_sampling(s, large), _sampling(s, digits)]
    if s.cuda:
        tables.append(_half_sampling(s, large))
    return tables


def _sampling(s: Session, subject: Subject) -> Table:
    options = {"steps": s.sampling_steps}
    contenders = {
        "ddpm": Contender("ours.sampling", subject, True, options),
        "diffusers": Contender("theirs.sampling", subject, True, options),
    }
    turns: dict[str, Turn] = {
        "ddpm's loop": ("ddpm", "loop"),
        "its network's calls alone": ("ddpm", "calls"),
        "ddpm's loop, guided": ("ddpm", "guided"),
        "its network's calls alone, on twice the batch": ("ddpm", "guided calls"),
        "diffusers' pipeline": ("diffusers", "loop"),
        "its network's calls alone ": ("diffusers", "calls"),
    }
    with start(contenders, s.threads) as running:
        # a turn of several seconds, so that small differences show
        seconds = running["ddpm"].seconds("loop", warm=1)
        took = s.turns(running, list(turns.values()), max(1, min(10, round(1 / seconds))))
        million = running["ddpm"].facts["weights"] / 1e6

    def over(loop: Turn, calls: Turn) -> str:
        return Spread(*(100 * (x - 1) for x in ratios(took, loop, calls))).say(1, 1) + " %"

    table = Table(
        f"Sampling: {million:.1f} M weights, {subject.size} x {subject.size}, batch {subject.batch}, "
        f"DDIM, {s.sampling_steps} steps, fp32, freed memory kept by both",
        ["", "ms a batch", "images/s"],
        data={"seconds": {name: took[turn] for name, turn in turns.items()}},
    )
    for name, turn in turns.items():
        time_ = spread(took[turn])
        table.rows.append((name, time_.say(1e3, 1), f"{subject.batch / time_.median:.1f}"))
    table.rows += [
        ("ddpm's loop over the calls", over(("ddpm", "loop"), ("ddpm", "calls")), ""),
        ("ddpm's guided loop over the calls", over(("ddpm", "guided"), ("ddpm", "guided calls")), ""),
        ("diffusers' pipeline over the calls", over(("diffusers", "loop"), ("diffusers", "calls")), ""),
        ("diffusers' pipeline over ddpm's loop", over(("diffusers", "loop"), ("ddpm", "loop")), ""),
    ]
    return table


def _half_sampling(s: Session, subject: Subject) -> Table:
    best = replace(subject, precision=s.best, channels_last=True)
    options = {"steps": s.sampling_steps}
    contenders = {
        f"ddpm, {s.best} autocast, channels last": Contender("ours.sampling", best, True, options),
        f"diffusers, {s.best} weights": Contender("theirs.sampling", replace(best, channels_last=False), True, options),
        f"diffusers, {s.best} weights, channels last": Contender("theirs.sampling", best, True, options),
        f"diffusers, {s.best} autocast, channels last": Contender(
            "theirs.sampling", best, True, options | {"autocast": True}
        ),
    }
    with start(contenders, s.threads) as running:
        took = s.turns(running, [(name, "loop") for name in contenders], 2)
    table = Table(
        f"Sampling in half precision: batch {subject.batch}, DDIM, {s.sampling_steps} steps",
        ["", "ms a batch", "images/s", "times ddpm's"],
        data={"seconds": {name: took[name, "loop"] for name in contenders}},
    )
    first = next(iter(contenders))
    for name in contenders:
        time_, times = spread(took[name, "loop"]), ratios(took, (name, "loop"), (first, "loop"))
        table.rows.append((name, time_.say(1e3, 1), f"{subject.batch / time_.median:.1f}", times.say(1, 2)))
    return table


def command_line(s: Session) -> list[Table]:
    """Measure the time until help is printed."""
    commands = {
        "ddpm --help": ["-m", "ddpm", "--help"],
        "diffusers-cli --help": ["-m", "diffusers.commands.diffusers_cli", "--help"],
        "python alone": ["-c", "pass"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(s.rounds + 1):
        for name, arguments in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            if number:
                took[name].append(time.perf_counter() - began)
    imports = {name: _imports_torch(arguments[1:]) for name, arguments in commands.items() if arguments[0] == "-m"}
    table = Table(
        "Command line: wall time", ["", "ms", "imports torch"], data={"seconds": took, "imports_torch": imports}
    )
    for name, times in took.items():
        table.rows.append((name, spread(times).say(1e3, 0), {True: "yes", False: "no"}.get(imports.get(name), "")))
    return [table]


_ASK = """
import contextlib, io, runpy, sys
sys.argv = sys.argv[1:]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
sys.exit("torch" in sys.modules)
"""


def _imports_torch(arguments: Sequence[str]) -> bool:
    return subprocess.run([sys.executable, "-c", _ASK, *arguments], capture_output=True).returncode == 1


SECTIONS: dict[str, Callable[[Session], list[Table]]] = {"help": command_line, "train": training, "sample": sampling}


def progress(text: str) -> None:
    """Print the current task in place, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to measure")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=int, default=128, help="channels at the finest level; 128: 35.7 M weights")
    parser.add_argument("--size", type=int, default=32, help="side of the images")
    parser.add_argument("--batch", type=int, help="images per training step; 16 on CPUs, 512 on GPUs")
    parser.add_argument("--sample-batch", type=int, help="images drawn at a time; 2 on CPUs, 512 on GPUs")
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, help="training steps per turn; 1 on CPUs, 10 on GPUs")
    parser.add_argument("--peak-tflops", type=float, help="peak of the device in dense bf16; known for common GPUs")
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    cuda = asked.device == "cuda"
    os.environ["DIFFUSERS_VERBOSITY"] = "error"
    session = Session(
        Subject({"width": asked.width}, asked.size, asked.batch or (512 if cuda else 16), asked.device),
        asked.sample_batch or (512 if cuda else 2),
        best_precision(torch.device(asked.device))[0],
        asked.threads,
        asked.rounds,
        asked.times or (10 if cuda else 1),
        asked.sampling_steps,
        asked.peak_tflops or (peak_tflops() if cuda else None),
    )
    where = machine(asked.device, asked.threads)
    for name, words in where.items():
        print(f"{name}: {words}")
    tables: list[Table] = []
    for section in asked.only:
        for table in SECTIONS[section](session):
            progress("")
            print(table, flush=True)
            tables.append(table)
    if asked.json:
        found = {"machine": where, "arguments": vars(asked), "tables": {t.title: t.data for t in tables}}
        asked.json.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
