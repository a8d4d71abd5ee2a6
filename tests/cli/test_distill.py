"""From a run to a student that draws in few steps."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

import ddpm
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.subjects import Subjects
from ddpm.evaluation.during import few_samples
from ddpm.evaluation.tune import AskTune, tune
from ddpm.planning.distillation import Distilling
from ddpm.planning.student import make
from ddpm.planning.teaching import levels_of, taught
from ddpm.planning.training import Command
from ddpm.system.progress import silent
from ddpm.tasks.generate import sample
from ddpm.tasks.interpolate import interpolate
from ddpm.tasks.likelihood import bits_per_dim
from flags import TINY
from refusal import refuses
from stopping import digests, losses, stopped_at

Cli = Callable[..., int]
SMALL = ("--images", "96", "--batch", "16", "--precision", "fp32", "--steps", "3", "--teacher-steps", "4")
"""6 steps."""
TRAINED = ("--images", "16", "--batch", "16", "--precision", "fp32", *TINY)


@pytest.fixture(scope="module")
def student(cli: Cli, digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For reading only."""
    out = tmp_path_factory.mktemp("runs") / "fast"
    assert cli("distill", digits_run, "--out", out, *SMALL) == 0
    return out


def given(**flags: object) -> dict[str, object]:
    return {"images": "32", "batch": 16, "precision": "fp32", "teacher_steps": 5, **flags}


def distil(teacher: Path, out: Path, flags: Mapping[str, object]) -> None:
    Distilling(teacher, flags, Command(out, few_samples, device="cpu")).run()


def test_a_student_is_a_run_that_says_what_it_is(
    cli: Cli, digits_run: Path, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, own = RunConfig.read(student / "config.json"), RunConfig.read(digits_run / "config.json")
    taught = config.distillation
    assert taught is not None
    assert (taught.teacher, taught.weights) == (str(digits_run), load(digits_run).weights)
    assert taught.sampling.guidance == own.sampling.guidance
    assert taught.sampling.steps == 4
    assert (config.sampling.solver.name, config.sampling.steps, config.sampling.guidance) == ("ddim", 3, None)
    assert config.data == own.data
    assert (student / "README.md").exists()
    assert cli("sample", student, "-n", "2", "--label", "3", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert f"3-step student of {digits_run}, guidance 1.15" in said
    assert "ddim, 3 steps" in said


def test_it_starts_as_its_teacher_and_learns(digits_run: Path, student: Path) -> None:
    held = [loss for line in (student / "log.jsonl").read_text().splitlines() if (loss := json.loads(line))]
    by_level = [event["by_level"] for event in held if event["kind"] == "held-out"]
    assert [set(levels) for levels in by_level] == [{"1000", "544", "192"}] * len(by_level)
    old, new = load_file(digits_run / "model.safetensors"), load_file(student / "model.safetensors")
    assert old.keys() == new.keys()
    assert max(float((old[name] - new[name]).abs().max()) for name in old) < 0.1
    assert any(not torch.equal(old[name], new[name]) for name in old)


def test_stopped_and_gone_on_bit_for_bit(cli: Cli, digits_run: Path, student: Path, tmp_path: Path) -> None:
    out = tmp_path / "fast"
    for step in (1, 4):
        with stopped_at(step):
            assert cli("distill", digits_run, "--out", out, *SMALL) == 75
    assert cli("distill", digits_run, "--out", out, *SMALL) == 0
    assert digests(out, 6) == digests(student, 6)
    assert losses(out) == losses(student)


@pytest.fixture(scope="module")
def several(cli: Cli, digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student in 1, 2 or 4 steps; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "fast"
    flags = ("--images", "64", "--batch", "16", "--precision", "fp32", "--teacher-steps", "5")
    assert cli("distill", digits_run, "--out", out, "--steps", "1,2,4", *flags) == 0
    return out


def test_one_student_for_several_numbers_of_steps(
    cli: Cli, digits_run: Path, several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, teacher = load(several, "cpu"), load(digits_run, "cpu")
    assert run.config.student.startswith(f"1,2,4-step student of {digits_run}")
    assert {how.steps for how in (run.sampling, settings(run, {}))} == {4}
    drawn = {}
    for steps in (1, 2, 4):
        how = settings(run, {"steps": steps})
        assert how.grid == levels_of(teacher, steps)
        (image,) = sample(run, 1, label="3", steps=steps)
        drawn[steps] = np.asarray(image)
        (again,) = sample(run, 1, label="3", grid=how.grid)
        assert np.array_equal(np.asarray(again), drawn[steps])
    assert not np.array_equal(drawn[1], drawn[2])
    for wrong in ({"steps": 3}, {"grid": (1000.0, 500.0, 100.0)}, {"steps": 8, "grid": "power"}):
        with refuses("conflict", "1, 2, 4"):
            settings(run, wrong)
    assert cli("sample", several, "-n", "1", "--steps", "2", "--out", tmp_path) == 0
    assert "ddim, 2 steps" in capsys.readouterr().out
    assert cli("sample", "--from", tmp_path / "00000.png", "--out", tmp_path / "again") == 0
    pixels = [np.asarray(Image.open(path)) for path in (tmp_path / "00000.png", tmp_path / "again" / "00000-again.png")]
    assert np.array_equal(*pixels)


def test_it_is_told_its_number_of_steps(several: Path) -> None:
    """The number alone changes what is drawn in the same steps."""
    run = load(several, "cpu")
    how, other = settings(run, {"steps": 2}), settings(run, {"steps": 1})
    x = torch.zeros(16, *run.engine.shape)

    def answer(steps: int) -> torch.Tensor:
        cond = run.engine.cond({"steps": torch.full((16,), float(steps))}, list(range(16)))
        return run.engine.denoiser(how)(x, run.engine.grid(other)[0], cond).x0

    assert not torch.equal(answer(1), answer(2))
    assert not torch.equal(answer(2), answer(4))


def test_it_starts_as_its_teacher_whatever_its_number(
    digits_run: Path, tmp_path: Path, accelerator: Accelerator
) -> None:
    teacher = load(digits_run, "cpu")
    job = make(teacher, tmp_path, given(steps="1-3"), accelerator, began=0.0).job
    labels, x = torch.arange(16) % 10, torch.ones(16, *teacher.engine.shape)
    mine = job.model.eval().cond({"label": labels, "steps": torch.full((16,), 2.0)}, 16)
    own = teacher.engine.model.cond({"label": labels}, 16)
    level = teacher.engine.schedule.level(500)
    with torch.no_grad():
        one = job.model.denoiser(teacher.engine.parameterisation)(x, level, mine).x0
        assert torch.equal(one, teacher.engine.model.denoiser(teacher.engine.parameterisation)(x, level, own).x0)


def test_the_same_numbers_spelled_otherwise_resume(digits_run: Path, several: Path) -> None:
    asked = RunConfig.read(several / "config.json").request
    distil(digits_run, several, asked | {"steps": "4,2,1"})
    with refuses("incompatible", "--steps 1,2,4"):
        distil(digits_run, several, asked | {"steps": "1-4"})


def test_one_student_for_a_range_of_guidance(
    cli: Cli, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told the scale, and nothing else guides it."""
    out = tmp_path / "fast"
    distil(digits_run, out, given(steps="1-2", guidance="1-5", guidance_interval=(0, 2)))
    distil(digits_run, out, RunConfig.read(out / "config.json").request)  # the same, as read from a file
    run = load(out, "cpu")
    assert run.config.distillation.sampling.guidance.words == "5, r below 2"
    assert run.config.student == f"1-2-step student of {digits_run}, guidance 1-5, r below 2"
    assert settings(run, {}).guidance_scale == 1.15  # the teacher's own
    how = settings(run, {"guidance": 3.0, "steps": 1})
    assert how.guidance_scale == 3
    assert run.guides(how, Subjects((3,))).away is None
    vectors = [run.engine.cond({"guidance": torch.full((16,), scale)}, list(range(16))) for scale in (1.0, 5.0)]
    assert not torch.equal(*(cond.vector for cond in vectors if cond is not None and cond.vector is not None))
    assert len(sample(run, 1)) == 1
    for changes in ({"guidance": 0.5}, {"guidance": 5.5}):
        with refuses("conflict", "between 1 and 5"):
            settings(run, changes)
    with refuses("conflict", "negative"):
        settings(run, {"guidance": 3.0, "negative": "4"})
    assert cli("sample", out, "-n", "2", "--label", "3", "--guidance", "3", "--out", tmp_path / "three") == 0
    assert "guidance 3" in capsys.readouterr().out


def test_another_seed_is_other_noise(digits_run: Path, student: Path, tmp_path: Path) -> None:
    distil(digits_run, tmp_path / "run", given(images="96", steps=3, teacher_steps=4, seed=1))
    whole, other = load_file(student / "model.safetensors"), load_file(tmp_path / "run" / "model.safetensors")
    assert any(not torch.equal(whole[name], other[name]) for name in whole)


def test_labels_and_none_draw_images_of_their_own_rows(student: Path) -> None:
    run = load(student)
    four = [np.asarray(image) for image in sample(run, 4, label=["1", "2", "3", "4"])]
    (third,) = sample(run, 1, label="3", indices=[2])
    assert np.array_equal(np.asarray(third), four[2])
    assert len(sample(run, 1)) == 1


def test_a_dry_run_writes_nothing(
    cli: Cli, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fast"
    assert cli("distill", digits_run, "--out", out, "--for", "10m", "--dry-run") == 0
    assert not out.exists()
    said = capsys.readouterr().out
    assert f"4-step student of {digits_run}, guidance 1.15" in said
    assert "measured" in said


def test_the_measured_memory_is_that_of_all_steps(digits_run: Path, tmp_path: Path, accelerator: Accelerator) -> None:
    """As all are kept for the gradient."""
    one, four = (
        make(load(digits_run, "cpu"), tmp_path, given(steps=steps), accelerator, began=0.0).memory.per_image
        for steps in (1, 4)
    )
    assert 3.9 * one < four < 4.1 * one


def test_tuned_levels_are_those_of_a_student_of_as_many_steps(digits_run: Path) -> None:
    run = load(digits_run, "cpu")
    tuned = replace(
        run, tuned=(SamplingConfig.of(solver="deis-3", grid="1000,400.5"), SamplingConfig.of(grid="900,9,1"))
    )
    assert levels_of(tuned, 2) == (1000.0, 400.5)
    assert levels_of(tuned, 4) == levels_of(run, 4) == (1000.0, 650.0, 354.0, 125.0)
    grid = taught(tuned, [levels_of(tuned, 2)], {}).grid
    assert {1000.0, 400.5} <= {*grid}
    assert len(grid) == 12


def test_a_checkpoint_may_teach_without_guidance(digits_run: Path, tmp_path: Path) -> None:
    teacher = digits_run / "checkpoints" / "step-000000008"
    distil(teacher, tmp_path / "fast", given(steps=1, guidance=1.0))
    config = RunConfig.read(tmp_path / "fast" / "config.json")
    assert config.student == f"1-step student of {teacher}"
    assert config.sampling.grid == (1000.0,)


def test_muon_unless_adamw_is_chosen(digits_run: Path, tmp_path: Path, student: Path) -> None:
    """Each with a learning rate of its own; a student that was started with one is not resumed with the other."""
    distil(digits_run, tmp_path / "adam", given(steps=1, optimizer="adamw"))
    own, other = (RunConfig.read(out / "config.json").training for out in (student, tmp_path / "adam"))
    assert (own.optimizer, other.optimizer) == ("muon", "adamw")
    assert own.learning_rate > other.learning_rate
    with refuses("incompatible", "--optimizer"):
        distil(digits_run, tmp_path / "adam", given(steps=1, optimizer="muon"))
    with refuses("unknown", "sgd"):
        distil(digits_run, tmp_path / "sgd", given(optimizer="sgd"))


def test_python_resumes_what_the_command_began(digits_run: Path, student: Path) -> None:
    how = {"budget": 96, "batch": 16, "precision": "fp32", "steps": 3, "teacher_steps": 4}
    made = ddpm.distill(digits_run, out=student, device="cpu", **how)
    assert made.run.weights == load(student).weights
    with refuses("unknown", "step"):
        ddpm.distill(digits_run, out=student, step=3)
    with refuses("device"):
        ddpm.distill(digits_run, out=student, device="gpu")


def test_what_a_student_is_not_asked(student: Path) -> None:
    run = load(student)
    assert settings(run, {"steps": 3}) == settings(run, {"guidance": 1.0}) == run.config.sampling
    assert settings(run, {"steps": 8, "grid": "power"}).steps == 8
    with refuses("conflict", "steps 8", "3-step student"):
        settings(run, {"steps": 8})
    with refuses("conflict", "guidance 2", "3-step student"):
        settings(run, {"guidance": 2.0})
    with refuses("incompatible", "likelihood"):
        bits_per_dim(run, [Image.new("L", (8, 8))])
    with refuses("incompatible", "interpolation"):
        interpolate(run, Image.new("L", (8, 8)), Image.new("L", (8, 8)))
    with refuses("incompatible", "tuning"):
        tune(run, AskTune([3]), silent)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"steps": 0}, "--steps"),
        ({"steps": 17}, "--steps"),
        ({"steps": "2-17"}, "--steps"),
        ({"steps": "4-2"}, "--steps"),
        ({"teacher_steps": 4}, "--teacher-steps"),
        ({"guidance": -1.0}, "guidance"),
        ({"guidance": "5-1"}, "guidance"),
        ({"guidance": "0-1"}, "guidance"),
        ({"guidance": 2, "guidance_interval": (2, 1)}, "guidance_interval"),
        ({"guidance": 2, "guidance_interval": 2}, "guidance_interval"),
        ({"guidance": 2, "guidance_interval": "0 2"}, "guidance_interval"),
    ],
)
def test_refused_values(digits_run: Path, tmp_path: Path, flags: dict[str, object], named: str) -> None:
    with refuses("invalid", named):
        distil(digits_run, tmp_path / "fast", given(**flags))
    assert not (tmp_path / "fast").exists()


def test_noise_levels_to_guide_at_need_a_scale(digits_run: Path, tmp_path: Path) -> None:
    with refuses("conflict", "--guidance"):
        distil(digits_run, tmp_path / "fast", given(guidance_interval=(0, 2)))


def test_refused_teachers(cli: Cli, student: Path, enlarging_run: Path, digits_run: Path, tmp_path: Path) -> None:
    for teacher in (student, enlarging_run):
        with refuses("incompatible", str(teacher)):
            distil(teacher, tmp_path / "fast", given())
    unlabelled = tmp_path / "unlabelled"
    assert cli("train", "digits", "--out", unlabelled, *TRAINED, "--no-labels") == 0
    with refuses("conflict", "--guidance"):
        distil(unlabelled, tmp_path / "fast", given(guidance=2.0))
    distil(unlabelled, tmp_path / "fast", given(steps=2))
    assert RunConfig.read(tmp_path / "fast" / "config.json").student == f"2-step student of {unlabelled}"
    distil(unlabelled, tmp_path / "both", given(steps="1-2"))
    assert len(sample(load(tmp_path / "both"), 2, steps=1)) == 2


def test_refused_continuations(student: Path, digits_run: Path, tmp_path: Path, cli: Cli) -> None:
    """With other flags, with another teacher, of a teacher that was trained further, and as another kind of run."""
    asked = RunConfig.read(student / "config.json").request
    with refuses("incompatible", "--steps"):
        distil(digits_run, student, asked | {"steps": 4})
    other = shutil.copytree(digits_run, tmp_path / "other")
    with refuses("incompatible", str(digits_run)):
        distil(other, student, asked)
    with refuses("exists"):
        distil(digits_run, other, asked)
    distil(other, tmp_path / "fast", asked)
    shutil.copy(student / "model.safetensors", other / "model.safetensors")
    with refuses("incompatible", "weights", str(other)):
        distil(other, tmp_path / "fast", asked)
    assert cli("train", "digits", "--out", student) == 2


@pytest.mark.parametrize(
    "flags",
    [
        ("--variance", "learned", "--loss", "hybrid"),
        ("--schedule", "edm", "--prediction", "edm"),
        ("--schedule", "flow", "--prediction", "flow"),
        ("--schedule", "linear", "--prediction", "eps", "--set", "diffusion.T=8"),
        ("--set", "diffusion.zero_terminal_snr=true", "--set", "network.dropout=0.3"),
    ],
    ids=" ".join,
)
def test_every_kind_of_teacher(flags: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    """Discrete or in continuous time, with a learned variance, from pure noise, with dropout."""
    run, out = tmp_path / "run", tmp_path / "fast"
    assert cli("train", "digits", "--out", run, *TRAINED, *flags) == 0
    distil(run, out, given(steps=3))
    assert RunConfig.read(out / "config.json").network.dropout == 0
    assert all(np.isfinite(loss) for _, loss in losses(out))
    (image,) = sample(load(out), 1, label="7")
    assert image.size == (8, 8)
