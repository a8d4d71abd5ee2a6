"""Progressive distillation, in stages that are runs; and students that are killed and scored."""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import ddpm
import forked
from ddpm.config.run import RunConfig
from ddpm.engine.loading import load
from ddpm.planning import follow
from ddpm.records.run_folder import RunFolder
from ddpm.system.interrupt import Interrupt
from ddpm.tasks.generate import sample
from ddpm.training.loop import train
from refusal import refuses

Cli = Callable[..., int]
STAGED = (
    *("--method", "progressive", "--steps", "1", "--teacher-steps", "4", "--guidance", "1-3"),
    *("--images", "192", "--batch", "16", "--precision", "fp32"),
)
"""Two stages of 6 steps."""


@pytest.fixture(scope="module")
def staged(cli: Cli, digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that nothing interrupted; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "fast"
    assert cli("distill", digits_run, "--out", out, *STAGED) == 0
    return out


def digest(folder: Path) -> str:
    files = [folder / "model.safetensors", *sorted(folder.glob("checkpoints/step-*/optimizer.safetensors"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_each_stage_follows_the_one_before(digits_run: Path, staged: Path) -> None:
    before = staged / "stages" / "2"
    first, last = (RunConfig.read(folder / "config.json") for folder in (before, staged))
    assert first.distillation is not None
    assert last.distillation is not None
    assert {config.distillation.teacher for config in (first, last) if config.distillation} == {str(digits_run)}
    assert (first.distillation.follows, last.distillation.follows) == (None, str(before))
    assert first.distillation.weights == load(digits_run).weights
    assert last.distillation.weights == load(before).weights
    assert [len(config.distillation.sampling.grid) for config in (first, last) if config.distillation] == [4, 2]
    assert (first.training.images, last.training.images) == (96, 96)
    assert last.student == f"1-step student of {digits_run}, guidance 1-3"
    run = load(staged, "cpu")
    assert len(sample(run, 2, label="3", guidance=2.0)) == 2
    with refuses("conflict", str(digits_run)):
        sample(run, 2, steps=2)


@pytest.mark.parametrize(("stage", "step"), [("2", 3), ("1", 2)])
def test_it_resumes_in_every_stage(
    stage: str,
    step: int,
    cli: Cli,
    digits_run: Path,
    staged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "fast"

    def stopped(job: object, accelerator: object, interrupt: Interrupt) -> object:
        for event in train(job, accelerator, interrupt):  # type: ignore[arg-type]
            interrupt.requested = (job.folder == out) == (stage == "1") and event.step >= step  # type: ignore[attr-defined]
            yield event

    with monkeypatch.context() as patch:
        patch.setattr(follow, "train", stopped)
        assert cli("distill", digits_run, "--out", out, *STAGED) == 75
    assert (out / "config.json").exists() == (stage == "1")
    assert cli("distill", digits_run, "--out", out, *STAGED) == 0
    assert digest(out / "stages" / "2") == digest(staged / "stages" / "2")
    # its teacher's path, which the config names, is its own
    assert load(out).weights == load(staged).weights


def test_flags_may_be_omitted_but_not_changed(
    cli: Cli, digits_run: Path, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("distill", digits_run, "--out", staged) == 0
    out = tmp_path / "fast"
    shutil.copytree(staged / "stages" / "2", out / "stages" / "2")  # as after a kill between the stages
    assert cli("distill", digits_run, "--out", out, "--method", "progressive", "--steps", "2") == 2
    assert "was started with --steps 1" in capsys.readouterr().err
    assert cli("distill", digits_run, "--out", out) == 0
    assert load(out).config.distillation.grids == load(staged).config.distillation.grids  # type: ignore[union-attr]
    assert [path.name for path in (out / "stages").iterdir()] == ["2"]


def test_every_stage_names_the_guidance_that_the_first_learned(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    few = ("--method", "progressive", "--steps", "1", "--teacher-steps", "4", "--images", "32", "--batch", "16")
    assert cli("distill", digits_run, "--out", tmp_path / "fast", *few, "--guidance", "2") == 0
    for folder in (tmp_path / "fast" / "stages" / "2", tmp_path / "fast"):
        assert RunFolder(folder).config().student.endswith(f"student of {digits_run}, guidance 2")


def test_killed_wherever_it_falls(cli: Cli, digits_run: Path, staged: Path, tmp_path: Path) -> None:
    """SIGKILL between the first checkpoint of the first stage and the end. The same command, to the same weights."""
    out = tmp_path / "fast"
    script = "import sys; from ddpm.cli import main; main(sys.argv[1:])"
    process = forked.start(script, "distill", str(digits_run), "--out", str(out), *STAGED, output=tmp_path / "killed")
    while process.is_alive() and not list(out.rglob("step-*")):
        time.sleep(0.01)
    process.kill()
    forked.finish(process)
    assert cli("distill", digits_run, "--out", out, *STAGED) == 0
    assert load(out).weights == load(staged).weights
    assert not list(out.rglob("*.part"))


def test_a_dry_run_of_stages_writes_nothing(
    cli: Cli, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fast"
    assert cli("distill", digits_run, "--out", out, "--method", "progressive", "--images", "96", "--dry-run") == 0
    assert not out.exists()
    assert "stages    from 32 steps of the teacher to 16, 8, 4" in capsys.readouterr().out


def test_what_cannot_be_staged(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    for method, code in (("consistent", "unknown"), ("progressive", "exists")):
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / "full" / "notes.txt").write_text("")
        with refuses(code):
            ddpm.distill(digits_run, out=tmp_path / "full", method=method, device="cpu")
    noise = (
        "--images",
        "16",
        "--batch",
        "16",
        "--set",
        "network.width=8",
        "--schedule",
        "linear",
        "--prediction",
        "eps",
    )
    assert cli("train", "digits", "--out", tmp_path / "eps", *noise) == 0
    with refuses("incompatible", "eps"):
        ddpm.distill(tmp_path / "eps", out=tmp_path / "fast", method="progressive", device="cpu")


def test_a_student_is_scored_in_its_own_steps(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "fast"
    flags = (
        *("--steps", "2", "--teacher-steps", "3", "--images", "64", "--batch", "32"),
        *("--precision", "fp32", "--during-training"),
    )
    assert cli("distill", digits_run, "--out", out, *flags) == 0
    config, best = RunConfig.read(out / "config.json"), RunFolder(out).best()
    assert config.scoring is not None
    assert config.scoring.steps == 2
    assert best is not None
    assert best.path(out).exists()
