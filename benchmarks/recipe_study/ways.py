"""Ways to train for a given time, each as a command in a process of its own, and their samples."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import ddpm
from ddpm.records.run_folder import RunFolder
from ddpm.system.units import duration
from ddpm.training.log import training_seconds
from recipe_study import earlier, theirs
from recipe_study.data import Images

WAYS = ("now", "before", "diffusers")
BENCHMARKS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Facts:
    """What a finished command did.

    Attributes:
        setting: the time it was given, as in "10m", and diffusers' width.
        seconds: from its start to its end.
        cpu_seconds: computing time on all cores, which shows whether other programs were in the way.
        images: the number of images trained on, counting repeats.
        speed: images per second of training alone.
    """

    setting: str
    seconds: float
    cpu_seconds: float
    images: int
    speed: float


@dataclass(frozen=True)
class Session:
    """All runs of a comparison, in one folder; those that are finished are not trained again.

    Attributes:
        budget: the time for training, as in "10m".
        width: channels of diffusers' network at its finest level.
    """

    out: Path
    images: Images
    budget: str
    width: int

    def trained(self, way: str, seed: int) -> Facts:
        """Train, unless that was done before."""
        folder = self.out / f"{way}-{seed}"
        record, setting = folder / "facts.json", self.budget + (f", width {self.width}" if way == "diffusers" else "")
        if record.exists():
            facts = Facts(**json.loads(record.read_text()))
            if facts.setting != setting:
                raise SystemExit(f"{folder} was trained for {facts.setting}, not {setting}; choose another --out")
            return facts
        # an interrupted command has no wall time
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command, run = self._command(way, seed), folder / "run"
        began, before = time.monotonic(), _cpu_seconds()
        with (folder / "output.txt").open("w") as output:
            # theirs imports from benchmarks/
            path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
            done = subprocess.run(
                [sys.executable, "-m", *command], stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": path}
            )
        seconds, cpu_seconds = time.monotonic() - began, _cpu_seconds() - before
        if done.returncode:
            raise SystemExit(f"{way}, seed {seed} failed:\n{(folder / 'output.txt').read_text()[-4000:]}")
        images, training = _theirs(run) if way == "diffusers" else _ours(run)
        facts = Facts(setting, seconds, cpu_seconds, images, images / training)
        record.write_text(json.dumps(asdict(facts)))
        return facts

    def samples(self, way: str, seed: int, n: int) -> Mapping[str, np.ndarray]:
        """n samples of a trained run by each of its samplers, (n, H, W, C) uint8, by the name of way and sampler."""
        folder = self.out / f"{way}-{seed}"
        found = {}
        for sampler in theirs.SAMPLERS if way == "diffusers" else ("",):
            file = folder / f"samples{'-' * bool(sampler)}{sampler.replace(' ', '-')}-{n}.npy"
            if not file.exists():
                labels = self.images.labels(n)
                if way == "diffusers":
                    drawn = theirs.draw(folder / "run", sampler, labels, n, seed)
                else:
                    asked = None if labels is None else labels.tolist()
                    drawn = ddpm.load(folder / "run").sample(n, label=asked, seed=seed, output="numpy")
                np.save(file, drawn)
            found[f"{way}, {sampler}" if sampler else way] = np.load(file)
        return found

    def _command(self, way: str, seed: int) -> list[str]:
        data, run = str(self.images.file), str(self.out / f"{way}-{seed}" / "run")
        if way == "diffusers":
            rest = ["--for", str(duration(self.budget)), "--seed", str(seed), "--width", str(self.width)]
            return ["recipe_study.theirs", data, run, *rest]
        flags = self._rung if way == "before" else []
        return ["ddpm", "train", data, "--out", run, "--for", self.budget, "--seed", str(seed), *flags]

    @cached_property
    def _rung(self) -> list[str]:
        """The flags of the earlier recipe for this time, chosen once for all seeds."""
        record, train = self.out / "before.json", self.images.train
        size, labelled = train.shape[:2], train.labels is not None
        rungs = json.loads(record.read_text()) if record.exists() else {}
        if self.budget not in rungs:
            rungs[self.budget] = earlier.affordable(self.images.file, size, labelled, duration(self.budget))
            record.write_text(json.dumps(rungs))
        return earlier.flags(size, labelled, rungs[self.budget])


def _cpu_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def _ours(run: Path) -> tuple[int, float]:
    """Images and seconds of training."""
    folder = RunFolder.open(run)
    settings = folder.config().training
    images = settings.steps * settings.batch
    return images, training_seconds(folder.log, images) or float("nan")


def _theirs(run: Path) -> tuple[int, float]:
    found: dict[str, Any] = json.loads((run / "training.json").read_text())
    return found["images"], found["training_seconds"]
