"""Kill commands at each system call that changes a file, or let the call fail, and compare with untouched ones.

    python benchmarks/kill_calls.py --points 20
    python benchmarks/kill_calls.py train evaluate --faults killed

Every command runs in a folder of its own, which also holds its cache. A small C library (faults/calls.c, compiled by
cc and preloaded) counts the calls open, write, fsync, rename, unlink, mkdir … on paths in that folder, and strikes at
the n-th:

- killed: SIGKILL before the call; a write is cut in half;
- disk full: from the n-th call on, ENOSPC wherever something is written;
- disk error: EIO, once;
- read-only: from the n-th call on, EROFS.

A failed call must end the command with code 2 and one line, unless the command can do without it. Then the same command
runs again, undisturbed, and must leave the files of a command that was never disturbed, byte for byte: weights,
averages, checkpoints, log, scores, pictures and cache, but for times. With ``--points``, so many calls are
struck, evenly spread from a random one on. The exit code is 0 if all are equal.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults import preload
from faults.commands import COMMANDS, Command, photos
from faults.forks import Ended, contents, different, drafts, renewed, run
from faults.preload import FAULTS, Fault


def prepared(command: Command, template: Path, home: Path) -> None:
    """Make the folder that a command starts from."""
    home.mkdir()
    photos(home / "photos")
    for argv in command.before:
        ended = run(argv, home)
        assert ended.code == 0, (argv, ended.errors)
    home.rename(template)


def problem(fault: Fault, first: Ended, again: Ended, command: Command, other: list[str]) -> str:
    """What went wrong at a point; empty if nothing did."""
    if fault.action != preload.KILL and first.code not in (0, 2):
        return f"ended with {first.code}: {first.errors.strip().splitlines()[-1:]}"
    if first.code == 2 and (first.errors.count("\n") != 1 or not first.errors.startswith("ddpm: ")):
        return f"said {first.errors!r}"
    if again.code and not (command.again and again.code == 2):
        return f"cannot be repeated: {again.errors.strip().splitlines()[-1:]}"
    return f"left other files: {', '.join(other[:4])}" if other else ""


def sweep(name: str, command: Command, faults: list[Fault], most: int | None, folder: Path) -> int:
    """Strike a command at many calls; print a row for each fault, and return the number of problems."""
    template, home, log = (folder / part for part in ("template", "home", "calls"))
    prepared(command, template, home)
    renewed(template, home)
    ended = run(command.argv, home, preload.UNTOUCHED, 0, log)
    assert ended.code == 0, ended.errors
    calls, expected = log.read_text().splitlines(), contents(home)
    bad = 0
    for fault in faults:
        codes: Counter[int] = Counter()
        left, began, troubles = 0, time.monotonic(), list[str]()
        every = max(1, len(calls) // (most or len(calls)))
        points = range(random.randrange(every) + 1, len(calls) + 1, every)[:most]
        for number in points:
            renewed(template, home)
            first = run(command.argv, home, fault, number)
            left += bool(drafts(home))
            again = run(command.argv, home)
            codes[first.code] += 1
            if said := problem(fault, first, again, command, different(contents(home), expected)):
                troubles.append(f"  {name}, {fault.name} at call {number} ({calls[number - 1]}): {said}")
        listed = ", ".join(f"{code}: {n}" for code, n in sorted(codes.items()))
        row = (name, fault.name, len(calls), len(points), listed, left, len(points) - len(troubles))
        seconds = (time.monotonic() - began) / max(1, len(points))
        print("| " + " | ".join(map(str, row)) + f" | <!-- {seconds:.1f} s each -->", flush=True)
        print("\n".join(troubles), end="\n" if troubles else "", flush=True)
        bad += len(troubles)
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("commands", nargs="*", default=[*COMMANDS], help=f"some of: {', '.join(COMMANDS)}")
    parser.add_argument("--faults", nargs="*", default=[f.name for f in FAULTS], help="kinds of faults")
    parser.add_argument("--points", type=int, default=None, help="calls to strike for each command and fault; all")
    parser.add_argument("--seed", type=int, default=None, help="of the points; random by default")
    asked = parser.parse_args()
    if not preload.preloaded():
        preload.restart(preload.compiled(Path(tempfile.mkdtemp())))
    import sklearn.datasets  # noqa: F401
    import torch._dynamo  # noqa: F401  # which optimisers import

    import ddpm.cli.train
    import ddpm.evaluation.tune
    import ddpm.pipeline  # noqa: F401

    random.seed(asked.seed if asked.seed is not None else int.from_bytes(os.urandom(4), "little"))
    faults = [fault for fault in FAULTS if fault.name in asked.faults]
    print("| command | fault | calls | struck | exit codes | with drafts left | repeated to the same files |")
    print("|---|---|---:|---:|---|---:|---:|")
    bad = 0
    for name in asked.commands:
        with tempfile.TemporaryDirectory() as temporary:
            bad += sweep(name, COMMANDS[name], faults, asked.points, Path(temporary))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
