"""Two processes have the score and the bits of one, also where nobody says that there is but a CPU."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
    (tmp_path / "worker.py").write_text(WORKER)
    launch = ["--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *launch, tmp_path / "worker.py", two],
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout.count("\nFréchet "), ended.stdout.count("\nbits per dim")) == (1, 1)
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
