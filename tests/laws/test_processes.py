"""Two processes are as one at the same global batch; each draws its own noise; only the first writes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import forked
from ddpm.objectives import SimpleLoss
from ddpm.training.trainer import StepReport, Trainer
from flags import BARE

Cli = Callable[..., int]
FLAGS = (
    *("train", "digits", "--images", "192", "--batch", "16", "--micro-batch", "3", "--precision", "fp32", "--flip"),
    *BARE,
    *("--set", "training.checkpoint_every=64", "--set", "training.keep=9", "--set", "training.log_every=48"),
    *("--set", "training.previews=1", "--device", "cpu", "--levels", "importance", "--set", "diffusion.T=4"),
)
"""12 steps of 16 digits, a line for every three. A process's 8 images are three micro-batches, of 3, 3 and 2. Four
levels have their ten losses soon, and from then on levels depend on what all processes saw."""
STOP = 8
"""The step during which the second process, and only that, is asked to stop: between two lines."""

WORKER = """
import os, signal, sys, numpy as np
from pathlib import Path
from ddpm.cli import main
from ddpm.objectives import SimpleLoss
from ddpm.training.trainer import Trainer
sys.path[:0] = [sys.argv[1]]
from test_processes import STOP, recording

rank, out, notes = int(os.environ["RANK"]), os.path.abspath(sys.argv[2]), Path(sys.argv[3])
written = []

def audit(event, args):
    if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR) or event in ("os.mkdir", "os.rename", "os.remove"):
        if isinstance(args[0], (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(args[0])).startswith(out):
            written.append(f"{event} {args[0]}")

step = Trainer.step
def signalled(self, number, *batch):
    if rank == 1 and number == STOP - 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(self, number, *batch)

Trainer.step = signalled
sys.addaudithook(audit)
code = None
with recording() as seen:
    try:
        main([*sys.argv[4:], "--out", out])
    except SystemExit as e:
        code = e.code
np.savez(notes / f"rank{rank}.npz", code=code, written=np.array(written, str), **seen.arrays())
"""


class Seen:
    """What the loss was computed on while gradients were taken."""

    def __init__(self) -> None:
        self.x0: list[torch.Tensor] = []
        self.eps: list[torch.Tensor] = []

    def arrays(self) -> dict[str, np.ndarray]:
        return {"x0": torch.cat(self.x0).numpy(), "eps": torch.cat(self.eps).numpy()}


class recording:
    """Within it the losses of all training steps are noted; that which memory is counted on is none of them."""

    def __enter__(self) -> Seen:
        seen, self._loss, self._step = Seen(), SimpleLoss.__call__, Trainer.step
        loss, step, steps = self._loss, self._step, []

        def stepping(self: Trainer, *args: Any) -> StepReport:
            steps.append(args[0])
            report = step(self, *args)
            steps.pop()
            return report

        def noted(self: SimpleLoss, net: object, x0: torch.Tensor, eps: torch.Tensor, *rest: object) -> torch.Tensor:
            if steps:
                seen.x0.append(x0.detach().clone())
                seen.eps.append(eps.detach().clone())
            return loss(self, net, x0, eps, *rest)  # type: ignore[arg-type]

        SimpleLoss.__call__ = noted  # type: ignore[method-assign, assignment]
        Trainer.step = stepping  # type: ignore[method-assign]
        return seen

    def __exit__(self, *error: object) -> None:
        SimpleLoss.__call__, Trainer.step = self._loss, self._step  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def one(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """The run of one process, and what it saw."""
    out = tmp_path_factory.mktemp("processes") / "one"
    with recording() as seen:
        assert cli(*FLAGS, "--out", out) == 0
    return out, seen.arrays()


@pytest.fixture(scope="module")
def two(one: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, np.ndarray]], str]:
    """The run of two, interrupted, and what each saw and did."""
    folder = tmp_path_factory.mktemp("processes")
    argv = [str(Path(__file__).parent), str(folder / "two"), str(folder), *FLAGS]
    said = forked.together(WORKER, *argv, folder=folder)
    notes = [dict(np.load(folder / f"rank{r}.npz")) for r in (0, 1)]
    return folder / "two", notes, "".join(said)


def lines(run: Path) -> dict[int, dict[str, float]]:
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {e["step"]: e for e in events if e["kind"] == "train"}


def assert_same(a: Path, b: Path, step: int, atol: float = 2e-5) -> None:
    """Two runs' checkpoints of a step agree as far as float32 sums in another order can."""
    for name in [path.name for path in (a / f"checkpoints/step-{step:09d}").glob("*.safetensors")]:
        x, y = (load_file(run / "checkpoints" / f"step-{step:09d}" / name) for run in (a, b))
        assert x.keys() == y.keys()
        for key, t in x.items():
            torch.testing.assert_close(t, y[key], rtol=1e-3, atol=atol, msg=lambda m, n=f"{name} {key}": f"{n}: {m}")


def test_the_loss_curve_is_the_same(one: tuple[Path, object], two: tuple[Path, object, str]) -> None:
    a, b = lines(one[0]), lines(two[0])
    assert list(b) == [3, 6]
    for step, line in b.items():
        assert line["loss"] == pytest.approx(a[step]["loss"], rel=1e-5)
        assert line["grad_norm"] == pytest.approx(a[step]["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("step", [4, STOP])
def test_weights_average_moments_and_history_are_the_same(
    step: int, one: tuple[Path, object], two: tuple[Path, object, str]
) -> None:
    assert_same(one[0], two[0], step)
    states = [json.loads((run / f"checkpoints/step-{step:09d}/state.json").read_text()) for run in (one[0], two[0])]
    history = load_file(one[0] / f"checkpoints/step-{STOP:09d}/levels.safetensors")
    assert history["counts"].tolist() == [10] * 4
    meters = [state.pop("meter") for state in states]
    assert states[0] == states[1] == {"step": step, "skipped": 0, "ema_updates": step}
    assert meters[0] == pytest.approx(meters[1], rel=1e-4)
    assert meters[0]["finite"] == step % 3


@pytest.mark.parametrize("what", ["x0", "eps"])
def test_each_process_has_its_own_part_of_images_and_noise(
    what: str, one: tuple[Path, dict[str, np.ndarray]], two: tuple[Path, list[dict[str, np.ndarray]], str]
) -> None:
    """The parts put together are what one process sees, bit for bit: none is seen twice, and no noise is shared."""
    parts = [notes[what].reshape(STOP, 8, 1, 8, 8) for notes in two[1]]
    whole = one[1][what].reshape(12, 16, 1, 8, 8)
    assert np.array_equal(np.concatenate(parts, axis=1), whole[:STOP])
    assert not np.array_equal(parts[0], parts[1])


def test_a_signal_to_one_process_stops_both_at_the_same_step(
    two: tuple[Path, list[dict[str, np.ndarray]], str],
) -> None:
    assert [int(notes["code"]) for notes in two[1]] == [75, 75]
    assert max((two[0] / "checkpoints").iterdir()).name == f"step-{STOP:09d}"


def test_only_the_first_process_writes_and_speaks(two: tuple[Path, list[dict[str, np.ndarray]], str]) -> None:
    out, notes, printed = two
    assert any("config.json" in event for event in notes[0]["written"])
    assert notes[1]["written"].tolist() == []
    assert printed.count("held-out loss") == 1
    assert printed.count("re-run the same command to resume") == 1
    assert "batch 16 = 2 processes × 8 in micro-batches of 3" in printed
    assert not list(out.rglob("*.part"))


def test_what_two_began_two_or_one_can_end(
    one: tuple[Path, object], two: tuple[Path, object, str], cli: Cli, tmp_path: Path
) -> None:
    """The line in which they were stopped has the losses of both parts."""
    resumed = shutil.copytree(two[0], tmp_path / "resumed")
    forked.together("from ddpm.cli import main; main()", *FLAGS, "--out", str(resumed), folder=tmp_path)
    assert cli(*FLAGS, "--out", two[0]) == 0
    a = lines(one[0])
    for run in (two[0], resumed):
        assert_same(one[0], run, 12)
        b = lines(run)
        assert list(b) == list(a) == [3, 6, 9, 12]
        for key, rel in (("loss", 1e-5), ("grad_norm", 1e-4)):
            assert [line[key] for line in b.values()] == pytest.approx([line[key] for line in a.values()], rel=rel)
