"""Two processes have the score and the bits of one, also where nobody says that there is but a CPU."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

import forked
from ddpm.records.likelihood import BitsRecord
from ddpm.records.score import Score

EVALUATE, LIKELIHOOD = ("-n", "70", "--steps", "1"), ("--steps", "2")
WORKER = f"""
import sys
from ddpm.cli import main
for command, flags in (("evaluate", {EVALUATE}), ("likelihood", {LIKELIHOOD})):
    try:
        main([command, sys.argv[1], *flags])
    except SystemExit as e:
        assert not e.code, e.code
"""


def test_two_processes_are_as_one(cli: Callable[..., int], digits_run: Path, tmp_path: Path) -> None:
    one, two = (shutil.copytree(digits_run, tmp_path / name) for name in ("one", "two"))
    said = "".join(forked.launched(WORKER, str(two), folder=tmp_path))
    assert (said.count("\nFréchet "), said.count("\nbits per dim")) == (1, 1)
    assert cli("evaluate", one, *EVALUATE, "--device", "cpu") == 0
    assert cli("likelihood", one, *LIKELIHOOD, "--device", "cpu") == 0
    (score,), (bits,) = (
        [[kind.read(run / path.relative_to(one)) for run in (one, two)] for path in one.glob(pattern)]
        for kind, pattern in ((Score, "evaluations/*/score.json"), (BitsRecord, "likelihood/*/bits.json"))
    )
    assert score[0].measure.n == 70
    assert bits[0].n == 89
    assert bits[0].bits == bits[1].bits
    (samples,) = (one / "drawn").iterdir()
    assert {path.name for path in samples.iterdir()} == {"000000.npy", "000001.npy"}
    for path in samples.iterdir():
        assert np.array_equal(np.load(path), np.load(two / path.relative_to(one)))
