"""Processes that divide the weights among themselves train the same model as one; any number resumes the run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.laws.test_processes import assert_same, lines

import forked
from flags import sets
from stopping import stopped_at

Cli = Callable[..., int]
FLAGS = (
    *("train", "digits", "--images", "192", "--batch", "16", "--micro-batch", "3", "--precision", "fp32"),
    *("--set", "training.checkpoint_every=128", "--set", "training.keep=9", "--set", "training.log_every=16"),
    *("--set", "training.previews=1", "--set", "training.averages=3", "--device", "cpu"),
    *sets("network.width=6", "network.multipliers=[1]", "network.attention=[]", "network.blocks=1"),
    *("--set", "network.norm=layer", "--set", "network.checkpoint=true", "--optimizer", "muon"),
    *("--levels", "importance", "--set", "diffusion.T=4"),
)
"""12 steps of 16 digits. A process's 8 images are three micro-batches, of 3, 3 and 2. Muon needs whole matrices, and
leaves other weights to AdamW."""
WORKER = """
import json, sys
from ddpm.cli import main
from ddpm.planning import follow
from ddpm.training.trainer import Trainer
from ddpm.training.loop import train

def stopped(job, accelerator, interrupt):
    for event in train(job, accelerator, interrupt):
        interrupt.requested = event.step >= 8
        yield event

follow.train = stopped
step = Trainer.step
def noted(self, *args):
    report = step(self, *args)
    if args[0] == 7:
        kept = sum(p.to_local().numel() for p in self.model.parameters())
        kept += sum(t.to_local().numel() for m in self._optimizer.state.values() for t in m.values() if t.ndim)
        kept += sum(t.to_local().numel() for t in self.ema._average)
        total = 4 * sum(p.numel() for p in self.model.parameters())
        print("part", kept / total)
    return report
Trainer.step = noted
main(sys.argv[1:])
"""


def test_divided_weights_train_the_same_model(cli: Cli, tmp_path: Path) -> None:
    one, parts = tmp_path / "one", tmp_path / "parts"
    assert cli(*FLAGS, "--out", one) == 0
    with stopped_at(4):  # one process begins, two that divide the weights go on
        assert cli(*FLAGS, "--out", parts) == 75
    ranks = forked.started(WORKER, *FLAGS, "--shard", "--out", str(parts), folder=tmp_path)
    for r, rank in enumerate(ranks):
        assert forked.finish(rank) == 75, (tmp_path / f"rank{r}.err").read_text()
    atol = 1e-4  # Adam divides a gradient by its size: where that is all but zero, rounding decides the direction
    assert_same(one, parts, 8, atol)
    a, b = lines(one), lines(parts)
    for step, line in b.items():
        assert line["loss"] == pytest.approx(a[step]["loss"], rel=1e-5)
        assert line["grad_norm"] == pytest.approx(a[step]["grad_norm"], rel=1e-4)
    # axes of 6 channels are divided evenly among 2 processes; Muon has one moment, AdamW two
    held = [float((tmp_path / f"rank{r}.out").read_text().split("part ")[1].split()[0]) for r in (0, 1)]
    assert max(held) < 0.55
    # and one process ends it
    assert cli(*FLAGS, "--out", parts) == 0
    assert_same(one, parts, 12, atol)
    for path in one.rglob("*.safetensors"):
        assert load_file(path).keys() == load_file(parts / path.relative_to(one)).keys()
