"""Kill an evaluation repeatedly, re-run the same command, and compare the score with an uninterrupted one.

    python benchmarks/kill_evaluate.py --kills 10

A small network learns scikit-learn's digits for a few seconds. Then ``python -m ddpm evaluate`` measures copies of its
run folder. Each start is killed by SIGKILL at a random moment in the first half of the time that an uninterrupted
evaluation takes, until ``--kills`` signals have been sent; then the command may finish. As samples are kept, it gets
further each time: when it finishes before its signal, the score is compared, and the next start uses a fresh copy. The
same is done with SIGTERM. Last, two processes measure a fresh copy under torchrun. Every process has one thread, the
default of torchrun, as other numbers of threads round sums differently.

Equal means that every field of score.json except the paths of the run, the sheets of pictures and the samples are
byte-identical, and that no file of samples completed before a signal was drawn again. The exit code is 0 if all are.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

TRAINED = 4096
"""Images."""
Contents = dict[str, Any]


@dataclass
class Case:
    """One signal.

    Attributes:
        sent: how many.
        ended: evaluations that came to their end, each on a fresh copy.
        timesteps: where signals came: before the first file of samples, between the first and the last, after the last.
        kept: files of samples that a signal found whole …
        again: … and those of them that were drawn again.
        codes: exit codes of the starts that were sent a signal.
        other: files that an evaluation which came to its end left otherwise.
    """

    name: str
    sent: int = 0
    ended: int = 0
    timesteps: list[int] = field(default_factory=lambda: [0, 0, 0])
    kept: int = 0
    again: int = 0
    codes: set[int] = field(default_factory=set)
    other: set[str] = field(default_factory=set)

    @property
    def good(self) -> bool:
        return not self.other and not self.again


@dataclass(frozen=True)
class Bench:
    """The run that is measured, and its folders.

    Attributes:
        folder: holds the run, and its copies while they are measured.
        n: samples.
    """

    folder: Path
    n: int
    rng: random.Random

    def train(self) -> None:
        sets = {"network.width": 16, "network.multipliers": [1, 2], "network.attention": [2]}
        words = [word for key, value in sets.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        amount = ["--images", str(TRAINED), "--batch", "64", "--device", "cpu"]
        run = [sys.executable, "-m", "ddpm", "train", "digits", "--out", str(self.folder / "run"), *amount, *words]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def copy(self, name: str) -> Path:
        """Make a fresh copy of the run under this name."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return Path(shutil.copytree(self.folder / "run", self.folder / name))

    def command(self, run: Path) -> list[str]:
        return ["-m", "ddpm", "evaluate", str(run), "-n", str(self.n), "--steps", "50", "--device", "cpu"]

    def untouched(self, run: Path, processes: int = 1) -> float:
        """Measure to the end, and return the time taken."""
        start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        began = time.perf_counter()
        whole = [sys.executable, *(start if processes > 1 else []), *self.command(run)]
        subprocess.run(whole, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began

    def run(self, number: signal.Signals, kills: int, seconds: float, expected: Contents) -> Case:
        """Send this many signals, and let the last start finish."""
        case, all_files = Case(number.name), sum(name.startswith("drawn") for name in expected)
        run = self.copy(number.name)
        whole: dict[Path, int] = {}
        while True:
            process = subprocess.Popen(
                [sys.executable, *self.command(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            last = case.sent == kills
            try:
                process.wait(None if last else self.rng.uniform(0, seconds / 2))
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                case.codes.add(process.wait())
                case.sent += 1
                files = len(written(run))
                case.timesteps[(files > 0) + (files >= all_files)] += 1
            now = written(run)
            case.again += sum(now.get(path) != when for path, when in whole.items())
            case.kept += len(now.keys() - whole.keys()) if process.returncode else 0
            whole = now
            if process.returncode == 0:
                case.ended += 1
                case.other |= different(contents(run), expected)
                if last:
                    return case
                run, whole = self.copy(number.name), {}


def written(run: Path) -> dict[Path, int]:
    """The time when each file of samples was written."""
    return {path: path.stat().st_mtime_ns for path in run.glob("drawn/*/*.npy")}


def contents(run: Path) -> Contents:
    """Everything that an evaluation leaves: the score without the paths of the run, and hashes of the other files."""
    paths = [path for home in ("drawn", "evaluations") for path in sorted((run / home).rglob("*"))]
    files = {str(path.relative_to(run)): path.read_bytes() for path in paths if path.is_file()}
    return {name: score(data) if name.endswith("score.json") else digest(data) for name, data in files.items()}


def different(found: Contents, expected: Contents) -> set[str]:
    return {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}


def score(data: bytes) -> Contents:
    found: Contents = json.loads(data)
    del found["samples"]["source"]
    return found


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="SIGKILLs")
    parser.add_argument("--terms", type=int, default=5, help="SIGTERMs")
    parser.add_argument("-n", type=int, default=2000, help="samples")
    parser.add_argument("--seed", type=int, default=None, help="seed of the moments; random by default")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, seed {seed}")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ |= {"DDPM_CACHE": f"{temporary}/cache", "OMP_NUM_THREADS": "1"}
        bench = Bench(Path(temporary), asked.n, random.Random(seed))
        bench.train()
        run = bench.copy("untouched")
        seconds = bench.untouched(run)
        expected = contents(run)
        print(f"untouched: {asked.n} samples in {seconds:.1f} s, {len(expected)} files", flush=True)
        print(f"\n{'signal':8} sent  before/while/after drawing  ended  files kept  drawn again  exit codes  scores")
        good = True
        for name, sent in (("SIGKILL", asked.kills), ("SIGTERM", asked.terms)):
            shutil.rmtree(f"{temporary}/cache/features", ignore_errors=True)
            case = bench.run(signal.Signals[name], sent, seconds, expected)
            timesteps = " / ".join(str(count) for count in case.timesteps)
            codes = ",".join(str(code) for code in sorted(case.codes))
            print(
                f"{name:8} {case.sent:4} {timesteps:>27} {case.ended:6} {case.kept:11} {case.again:12} {codes:>11}  "
                + (f"DIFFERENT {sorted(case.other)}" if case.other else "equal"),
                flush=True,
            )
            good &= case.good
        run = bench.copy("two")
        bench.untouched(run, processes=2)
        other = different(contents(run), expected)
        print("two processes: " + (f"DIFFERENT from one {sorted(other)}" if other else "equal to one"))
    good &= not other
    print("\nall scores are equal to the untouched one" if good else "\nNOT ALL EQUAL")
    sys.exit(not good)


if __name__ == "__main__":
    main()
