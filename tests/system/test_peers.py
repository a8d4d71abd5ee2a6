"""A process of a distributed run that is killed, hangs or fails does not leave the others waiting."""

import os
import signal
from pathlib import Path

import forked
from cases import cases

WORKER = """
import os, signal, sys, time
import torch
from accelerate import Accelerator
from ddpm import cli
from ddpm.system import peers
from ddpm.system.errors import InputError

peers.BEAT, peers.SILENCE, peers.GRACE = 0.05, 1.0, 0.3
rank, fault = int(os.environ["RANK"]), sys.argv[1]

def command(argv, **how):
    accelerator = Accelerator(cpu=True)
    if fault == "silent store" and rank == 1:
        peers._Watch._look = lambda self: time.sleep(60)
    peers.watch()
    if fault == "same error":
        raise InputError("invalid", "the same mistake")
    if rank == 1:
        if fault in ("SIGKILL", "SIGSTOP"):
            os.kill(os.getpid(), getattr(signal, fault))
        if fault == "error":
            raise InputError("invalid", "one mistake")
    if fault == "late":
        time.sleep(1 - rank)
    elif rank == 0 or fault == "silent store":
        if fault in ("SIGSTOP", "silent store"):
            time.sleep(60)  # an operation that nothing interrupts
        accelerator.wait_for_everyone()

cli.app = command
cli.main([])
"""


@cases(
    ("fault", "codes", "said"),
    [
        ("SIGKILL", (4, -signal.SIGKILL), "lost another of 2 processes"),
        ("SIGSTOP", (4, None), "lost process 1 of 2"),
        ("silent store", (4, 4), "lost "),
        ("error", (4, 2), "one mistake"),
        ("same error", (2, 2), "the same mistake"),
        ("late", (0, 0), ""),
    ],
)
def test_all_processes_end_and_one_says_why(
    fault: str, codes: tuple[int, int | None], said: str, tmp_path: Path
) -> None:
    ranks = forked.started(WORKER, fault, folder=tmp_path)
    assert forked.finish(ranks[0]) == codes[0], (tmp_path / "rank0.err").read_text()
    if codes[1] is None:
        assert ranks[1].pid is not None
        os.kill(ranks[1].pid, signal.SIGKILL)
        forked.finish(ranks[1])
    else:
        assert forked.finish(ranks[1]) == codes[1], (tmp_path / "rank1.err").read_text()
    lines = [line for r in (0, 1) for line in (tmp_path / f"rank{r}.err").read_text().splitlines() if "ddpm" in line]
    assert len(lines) == bool(said) + (fault == "silent store")  # its own process cannot ask whether to print
    assert not said or lines[0].startswith(f"ddpm: {said}")
