"""Kill a training run repeatedly, re-run the same command, and compare the result with an uninterrupted run.

    python benchmarks/kill_resume.py --kills 20

A small network learns scikit-learn's digits by ``python -m ddpm train``, with a checkpoint every other step, so that
many signals arrive while one is written. Each start is killed by SIGKILL at a random moment, a quarter of them before
the first step, until ``--kills`` signals have been sent; then the command may finish. The same is done with SIGTERM,
after which the command must exit with 75. All of it runs with and without prefetch threads (``--workers``).

Equal means that the SHA-256 of the last checkpoint's weights, averaged weights and optimiser moments, and of the
published model.safetensors, are those of an uninterrupted run. The exit code is 0 if all are.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

BATCH = 16
PARTS = ("model", "ema", "optimizer")


@dataclass
class Case:
    """One signal with one number of workers.

    Attributes:
        inside: how many signals left a half-written file behind.
        before: how many came before the first step of their start.
        codes: exit codes of the starts that were sent a signal.
    """

    name: str
    workers: int
    inside: int = 0
    before: int = 0
    codes: list[int] = field(default_factory=list)
    equal: bool = False
    said: str = ""


@dataclass(frozen=True)
class Bench:
    """The run and its randomness.

    Attributes:
        folder: all runs are made in it.
        steps: of each run.
    """

    folder: Path
    steps: int
    rng: random.Random

    def command(self, out: Path, workers: int) -> list[str]:
        settings = {
            "network.width": 8,
            "network.multipliers": [1, 2],
            "network.attention": [2],
            "network.dropout": 0.1,
            "training.checkpoint_every": 2 * BATCH,
            "training.log_every": 2 * BATCH,
            "training.previews": 1,
        }
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        amount = ["--images", str(self.steps * BATCH), "--batch", str(BATCH), "--precision", "fp32", "--device", "cpu"]
        return [
            *(sys.executable, "-m", "ddpm", "train", "digits", "--out", str(out), "--flip"),
            *(*amount, "--workers", str(workers), *sets),
        ]

    def untouched(self, out: Path, workers: int) -> float:
        """Run to the end, and return the seconds before the first step."""
        began = time.time()
        subprocess.run(self.command(out, workers), check=True, stdout=subprocess.DEVNULL)
        return starts(out)[0] - began

    def run(self, case: Case, number: signal.Signals, sent: int, startup: float, a_step: float) -> Path:
        """Send this many signals to a run, then let it finish."""
        out = self.folder / f"{case.name}-{case.workers}"
        command = self.command(out, case.workers)
        while len(case.codes) < sent:
            known = len(starts(out))
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if number == signal.SIGKILL and self.rng.random() < 0.25:
                time.sleep(self.rng.uniform(0, startup))
            else:
                while process.poll() is None and len(starts(out)) == known:
                    time.sleep(0.01)
                # only checkpoints guarantee progress: some starts must reach the next one
                time.sleep(self.rng.uniform(0, 20 * a_step))
            if process.poll() is not None:
                break  # the run has finished
            process.send_signal(number)
            process.communicate()
            case.codes.append(process.returncode)
            case.before += len(starts(out)) == known
            case.inside += bool(list(out.rglob("*.part")))
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            case.said = ended.stderr.strip()
        return out


def starts(out: Path) -> list[float]:
    """The times when training started or resumed, from the run's log."""
    try:
        lines = (out / "log.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line)["time"] for line in lines if line.startswith('{"kind": "start"') and line.endswith("}")]


def digests(out: Path, steps: int) -> dict[str, str]:
    """SHA-256 of a run's learned weights and optimiser moments."""
    last = out / "checkpoints" / f"step-{steps:09d}"
    files = {part: last / f"{part}.safetensors" for part in PARTS} | {"published": out / "model.safetensors"}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
        for name, path in files.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs for each number of workers")
    parser.add_argument("--terms", type=int, default=5, help="SIGTERMs for each number of workers")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2], help="prefetch threads")
    parser.add_argument("--seed", type=int, default=None, help="seed of the moments; random by default")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else int.from_bytes(os.urandom(4), "little")
    steps = 40 + 12 * max(asked.kills, asked.terms)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, seed {seed}")
    print(f"{steps} steps of {BATCH} digits, a checkpoint every 2 steps")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["DDPM_CACHE"] = f"{temporary}/cache"
        bench = Bench(Path(temporary), steps, random.Random(seed))
        untouched = bench.folder / "untouched"
        startup = bench.untouched(untouched, workers=0)
        expected = digests(untouched, steps)
        speeds = [json.loads(line).get("images_per_s") for line in (untouched / "log.jsonl").read_text().splitlines()]
        a_step = BATCH / sorted(speed for speed in speeds if speed)[len([s for s in speeds if s]) // 2]
        print("untouched " + "  ".join(f"{name} {digest[:12]}" for name, digest in expected.items()), flush=True)
        print(f"\n{'signal':8} workers  sent  before step 1  in a write  exit codes  end")
        cases = []
        for name, sent in (("SIGKILL", asked.kills), ("SIGTERM", asked.terms)):
            for workers in asked.workers:
                case = Case(name, workers)
                out = bench.run(case, signal.Signals[name], sent, startup, a_step)
                case.equal = digests(out, steps) == expected
                codes = ",".join(str(code) for code in sorted(set(case.codes)))
                print(
                    f"{name:8} {workers:7} {len(case.codes):5} {case.before:14} {case.inside:11} {codes:>11}  "
                    + ("equal" if case.equal else f"DIFFERENT {case.said}"),
                    flush=True,
                )
                cases.append(case)
    good = all(case.equal for case in cases) and all(set(c.codes) == {75} for c in cases if c.name == "SIGTERM")
    print("\nall ends are equal to the untouched run's, bit for bit" if good else "\nNOT ALL EQUAL")
    sys.exit(not good)


if __name__ == "__main__":
    main()
