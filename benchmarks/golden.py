"""Check whether a change of the code changes any number of the whole system.

    python benchmarks/golden.py record FILE.json
    python benchmarks/golden.py compare FILE.json

``record`` trains tiny networks with every option, samples, edits and evaluates with them, and writes a hash of each
result; ``compare`` repeats it and prints which results differ, are missing or are new. It runs the command line and
hashes its files (pixels, tensors, numbers of the records), so that modules may be moved and renamed. The hashes hold
for one machine and one version of torch: record before a change and compare after it, on the same machine.

Weights have two hashes, with and without the tensors' names: the latter survives renaming a module's attribute. A case
that raises is recorded as ``error: …``, and the others continue.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # results are bit-identical only with the same number of threads

import torch
from golden_cases import drawing, mathematics, measuring, training
from golden_cases.lab import Lab
from golden_cases.table import Case, case_of


def all_cases() -> list[Case]:
    """The cases in the order they run."""
    return [*training.cases(), *drawing.cases(), *measuring.cases(), *mathematics.cases()]


@contextmanager
def laboratory() -> Iterator[Lab]:
    """A temporary working directory with a cache of its own."""
    before, cache = Path.cwd(), os.environ.get("DDPM_CACHE")
    with tempfile.TemporaryDirectory() as home:
        os.environ["DDPM_CACHE"] = str(Path(home) / "cache")
        os.chdir(home)
        try:
            yield Lab(Path(home))
        finally:
            os.chdir(before)
            if cache is None:
                del os.environ["DDPM_CACHE"]
            else:
                os.environ["DDPM_CACHE"] = cache


def measure(only: str, *, slow: float = float("inf")) -> dict[str, str]:
    """Run all cases whose names match a pattern, and return their record.

    Args:
        slow: Seconds from which on a case's time is printed.
    """
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    with warnings.catch_warnings(action="ignore"), laboratory() as lab:
        for case in all_cases():
            if fnmatch(case.name, only):
                began = time.perf_counter()
                found |= case.recorded(lab)
                if (took := time.perf_counter() - began) >= slow:
                    print(f"{took:6.2f} s  {case.name}", file=sys.stderr)
    return found


def differences(before: dict[str, str], now: dict[str, str], only: str) -> list[str]:
    """A line for each entry of matching cases that differs, is missing or is new."""
    before = {name: value for name, value in before.items() if fnmatch(case_of(name), only)}
    lines = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            lines.append(f"missing  {name}  {before[name]}")
        elif name not in before:
            lines.append(f"new      {name}  {now[name]}")
        elif before[name] != now[name]:
            lines.append(f"differs  {name}  {before[name]} -> {now[name]}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("file", type=Path, help="the record")
    parser.add_argument("--only", default="*", help="cases that match a pattern, as in 'train/*'")
    parser.add_argument("--slow", type=float, default=float("inf"), help="print cases that take this many seconds")
    args = parser.parse_args(argv)
    before = json.loads(args.file.read_text()) if args.what == "compare" else {}
    began = time.perf_counter()
    now = measure(args.only, slow=args.slow)
    took = time.perf_counter() - began
    errors = sum(value.startswith("error: ") for value in now.values())
    print(f"{len({case_of(name) for name in now})} cases, {len(now)} entries, {errors} errors, {took:.0f} s")
    if args.what == "record":
        args.file.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        return 0
    lines = differences(before, now, args.only)
    print("\n".join(lines) if lines else "nothing differs")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
