"""Train 2N steps = train N, stop, go on for N more: weights, average, moments and log, bit for bit."""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate import Accelerator
from safetensors.torch import load_file

import forked
from ddpm.planning import follow
from ddpm.system.interrupt import Interrupt
from ddpm.training.log import Event
from ddpm.training.loop import train
from flags import BARE

Cli = Callable[..., int]
PLAIN = (
    *("--images", "384", "--batch", "16", "--precision", "fp32", "--flip", *BARE),
    *("--set", "training.checkpoint_every=64", "--set", "training.log_every=16", "--set", "training.previews=1"),
    *("--set", "training.averages=3"),
)
FLAGS = (*PLAIN, "--set", "network.dropout=0.1")
"""24 steps of 16 digits; dropout and mirroring, as they draw random numbers too."""


SAMPLED = (*PLAIN, "--levels", "importance", "--loss", "hybrid", "--variance", "learned", "--set", "diffusion.T=6")
"""Levels by the losses so far, which must be kept too. Each of six has its ten losses after about eight steps."""


def digests(run: Path) -> dict[str, str]:
    """SHA-256 of all that a run has learned: the last checkpoint's files and the published average."""
    last = run / "checkpoints" / "step-000000024"
    files = [run / "model.safetensors", *(p for p in last.iterdir())]
    return {p.name if p.parent == run else f"last/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def losses(run: Path) -> list[tuple[int, float]]:
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(e["step"], e["loss"]) for e in events if e["kind"] in ("train", "held-out")]


def command(out: Path) -> list[str]:
    return ["train", "digits", "--out", str(out), *FLAGS]


@pytest.fixture(scope="module")
def whole(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("resume") / "run"
    assert cli("train", "digits", "--out", out, *FLAGS) == 0
    return out


@pytest.fixture(scope="module")
def whole_sampled(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, its levels sampled by importance."""
    out = tmp_path_factory.mktemp("resume") / "sampled"
    assert cli("train", "digits", "--out", out, *SAMPLED) == 0
    return out


ENLARGED = ("--recipe", "super-resolution", "--scale", "2")
"""Small images with noise on them, which is drawn anew in each step."""
TRANSFORMER = (
    *("--images", "384", "--batch", "16", "--precision", "fp32", "--network", "dit", "--set", "network.depth=2"),
    *("--width", "32", "--set", "network.dropout=0.1", "--set", "training.previews=1"),
    *("--set", "training.log_every=16", "--set", "training.averages=3"),
)


def stop_after(step: int) -> Callable[..., object]:
    """The training loop with a signal that arrives while this step is under way."""

    def stopped(job: object, accelerator: Accelerator, interrupt: Interrupt) -> object:
        event: Event
        for event in train(job, accelerator, interrupt):  # type: ignore[arg-type]
            if event.kind == "train" and event.step == step:
                interrupt.requested = True
            yield event

    return stopped


@pytest.mark.parametrize(("stops", "workers"), [((12,), 2), ((1, 2, 7, 23), 0)])
def test_stopped_and_gone_on(
    stops: tuple[int, ...], workers: int, whole: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, count = tmp_path / "run", str(workers)
    for step in stops:
        with monkeypatch.context() as patch:
            patch.setattr(follow, "train", stop_after(step))
            assert cli("train", "digits", "--out", out, *FLAGS, "--workers", count) == 75
        assert (out / "checkpoints" / f"step-{step:09d}").exists()
    assert cli("train", "digits", "--out", out, *FLAGS, "--workers", count) == 0
    assert digests(out) == digests(whole)
    assert losses(out) == losses(whole)
    starts = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines() if '"start"' in line]
    assert starts == [0, *stops]


def test_levels_sampled_by_importance_go_on(
    whole_sampled: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, flags = tmp_path / "run", SAMPLED
    for step in (3, 15):  # before the history is full, and after
        with monkeypatch.context() as patch:
            patch.setattr(follow, "train", stop_after(step))
            assert cli("train", "digits", "--out", out, *flags) == 75
        history = load_file(out / "checkpoints" / f"step-{step:09d}" / "levels.safetensors")
        assert bool((history["counts"] == 10).all()) == (step == 15)
    assert cli("train", "digits", "--out", out, *flags) == 0
    assert digests(out) == digests(whole_sampled)
    assert losses(out) == losses(whole_sampled)


@pytest.mark.parametrize("flags", [(*FLAGS, *ENLARGED), TRANSFORMER], ids=["super-resolution", "transformer"])
def test_other_runs_go_on(flags: tuple[str, ...], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert cli("train", "digits", "--out", whole, *flags) == 0
    with monkeypatch.context() as patch:
        patch.setattr(follow, "train", stop_after(7))
        assert cli("train", "digits", "--out", out, *flags) == 75
    assert cli("train", "digits", "--out", out, *flags) == 0
    assert digests(out) == digests(whole)
    assert losses(out) == losses(whole)


def test_killed_at_a_random_moment(whole: Path, cli: Cli, tmp_path: Path) -> None:
    """SIGKILL wherever it falls: at the start, in a step, in a checkpoint. The same command, to the same bits."""
    out, wait = tmp_path / "run", random.Random(os.urandom(8)).uniform(0, 0.5)
    script = "import sys; from ddpm.cli import main; main(sys.argv[1:])"
    process = forked.start(script, *command(out), output=tmp_path / "killed")
    while process.is_alive() and not (out / "config.json").exists():
        time.sleep(0.01)
    time.sleep(wait)
    process.kill()
    forked.finish(process)
    print(f"killed {wait:.3f} s after its config was written, at {sorted(p.name for p in out.rglob('step-*'))}")
    assert cli(*command(out)) == 0
    assert digests(out) == digests(whole)
    assert losses(out) == losses(whole)
    assert not list(out.rglob("*.part"))


def test_sigterm_saves_and_exits_with_75(whole: Path, cli: Cli, tmp_path: Path) -> None:
    """A real signal to a real process, in the midst of its tenth step."""
    out = tmp_path / "run"
    script = """
import os, signal, sys
from ddpm.cli import main
from ddpm.training.trainer import Trainer
step = Trainer.step
def signalled(self, number, *batch):
    if number == 9:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(self, number, *batch)
Trainer.step = signalled
main(sys.argv[1:])
"""
    stopped = forked.start(script, *command(out), output=tmp_path / "stopped")
    assert (forked.finish(stopped), (tmp_path / "stopped.err").read_text()) == (75, "")
    assert "interrupted after 160 images; re-run the same command to resume" in (tmp_path / "stopped.out").read_text()
    assert max(out.glob("checkpoints/step-*")).name == "step-000000010"
    assert cli(*command(out)) == 0
    assert digests(out) == digests(whole)
    assert losses(out) == losses(whole)
