"""A small part of benchmarks/kill_calls.py: checkpoints that are killed, or fail, at the calls that write them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, random, sys
from pathlib import Path
import torch
from faults.forks import contents, different, drafts, fork
from faults.preload import FAULTS, UNTOUCHED, arm
from ddpm.system.errors import InputError
from ddpm.system.files import clear_drafts, write_file
from ddpm.training.checkpoint import Checkpoint, newest, path_of, prune, write

def work(home):
    folder = home / "checkpoints"
    clear_drafts(home)
    found, _ = newest(folder)
    done = 0 if found is None else found.step
    if done:
        prune(path_of(folder, done), 1, later=False)
    for step in range(done + 1, 4):
        tensors = {name: {"w": torch.full((64,), float(step))} for name in ("model", "ema", "optimizer")}
        write_file(home / "model.safetensors", bytes([step]) * 999)
        prune(write(folder, Checkpoint(step, tensors, {})), 1)

def run(home, fault=UNTOUCHED, number=0, log=None):
    def call():
        arm(home, fault, number, log)
        try:
            work(home)
        except InputError as e:
            print(e, file=sys.stderr)
            sys.exit(2)
    home.mkdir(exist_ok=True)
    return fork(call, home, home.with_suffix(".ended"))

root = Path(sys.argv[1])
assert run(root / "whole", log=root / "calls").code == 0
calls, expected, found = (root / "calls").read_text().splitlines(), contents(root / "whole"), []
for fault in FAULTS:
    every = 7 if fault.name == "killed" else 25
    for number in range(1 + random.randrange(every), len(calls) + 1, every):
        home = root / f"{fault.name} {number}"
        first, again = run(home, fault, number), run(home)
        found.append((fault.name, number, first.code, again.code, different(contents(home), expected), drafts(home)))
print(json.dumps([len(calls), found]))
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs a C compiler and LD_PRELOAD")
def test_checkpoints_are_whole_or_absent_at_every_call(tmp_path: Path) -> None:
    from faults import preload

    root = Path(__file__).parents[2]
    paths = f"{root / 'benchmarks'}:{root / 'src'}"
    env = os.environ | {"LD_PRELOAD": str(preload.compiled(tmp_path)), "PYTHONPATH": paths}
    ended = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, env=env)
    assert not ended.stderr
    calls, found = json.loads(ended.stdout)
    assert calls > 60
    for fault, number, first, again, different, drafts in found:
        case = (fault, number)
        assert first in ((-9,) if fault == "killed" else (0, 2)), case
        assert (again, different, drafts) == (0, [], 0), case
    assert 2 in {first for _, _, first, *_ in found}
