"""The runs on a page, and which of their distances can be compared."""

import shutil
from pathlib import Path

import pytest

from ddpm.config.sampling import SamplingConfig
from ddpm.records.run_folder import RunFolder
from ddpm.report.reading import read
from ddpm.report.subjects import Basis, shared, subjects, teacher_of

from .conftest import Evaluate
from .scores import MEASURE, made_sweep, make_score, tuning


def test_a_student_brings_its_teacher(
    run: Path, student: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the weights that taught it, by a path from anywhere; once."""
    pair = [(tmp_path / "fast", weights), (tmp_path / "run", weights)]
    assert [(one.run.folder, one.weights) for one in subjects([read(student)])] == pair
    assert [(one.run.folder, one.weights) for one in subjects([read(run), read(student)])] == pair[::-1]
    config = RunFolder(student).config()
    assert config.distillation is not None
    for teacher, found in (("run", True), ("run/checkpoints/step-000000008", True), ("other", False)):
        taught = config.distillation.model_copy(update={"teacher": teacher, "weights": "early"})
        config.model_copy(update={"distillation": taught}).write(RunFolder(student).config_file)
        monkeypatch.chdir("/")
        assert (teacher_of(read(student)) is not None) == found
        assert [one.weights for one in subjects([read(student)])] == [weights, *["early"] * found]
    assert teacher_of(read(run)) is None


def test_runs_of_one_name_go_by_their_paths(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "b" / "run")
    assert [one.name for one in subjects([read(run), read(run)])] == ["run"]
    assert [one.name for one in subjects([read(run), read(other)])] == [str(run), str(other)]


def test_a_sweep_can_be_compared_with_an_evaluation_of_as_many_samples(run: Path, evaluate: Evaluate) -> None:
    evaluate("w", make_score("w"))
    how = SamplingConfig.of(steps=5)
    unmeasured = made_sweep("w", {how: 1.0}).model_copy(update={"quality": None})
    for name, sweep in {"a": made_sweep("w", {how: 30.0}), "b": unmeasured}.items():
        sweep.write(run / "sweeps" / name / "sweep.json")
    swept, evaluated = subjects([read(run)])[0].distances
    assert swept.basis == evaluated.basis
    assert (swept.sampling, swept.frechet.value, evaluated.frechet.value) == (how, 30.0, 12.0)
    assert "64 samples compared with 89 images of digits" in swept.basis.words


def test_distances_are_of_one_basis(run: Path, student: Path, evaluate: Evaluate, weights: str) -> None:
    """That of most runs, then that of the headline, then of most distances."""
    few = MEASURE.model_copy(update={"n": 9})
    for steps in (5, 10):
        evaluate(f"few {steps}", make_score(weights, measure=few, steps=steps))
    evaluate("many", make_score(weights))
    like = Basis.of(make_score(weights))

    def chosen(basis: Basis | None) -> int:
        found = shared([one.own for one in subjects([read(student)])], basis)
        assert found is not None
        return found.n

    assert (chosen(None), chosen(like)) == (9, 64)
    evaluate("student", make_score(weights, measure=few), student)
    assert chosen(like) == 9
    assert shared([], like) is None


def test_the_flags_that_measure_like_it(run: Path) -> None:
    measure = MEASURE.model_copy(
        update={
            "features": MEASURE.features.model_copy(update={"name": "embedded"}),
            "reference": MEASURE.reference.model_copy(update={"source": "other.zip"}),
        }
    )
    assert Basis.of(make_score("w")).flags(read(run)) == ["-n", "64", "--features", "small"]
    assert Basis.of(make_score("w", measure=measure)).flags(read(run)) == ["-n", "64", "--data", "other.zip"]


def test_tuned_settings_are_of_the_weights(run: Path, weights: str) -> None:
    how = SamplingConfig.of(grid=(1000.0, 400.0), guidance=1.5)
    for of, tuned in ((weights, True), ("others", False)):
        tuning(of, how).write(RunFolder(run).tuned_file)
        (one,) = subjects([read(run)])
        assert one.is_tuned(how.model_copy(update={"precision": "bf16"})) == tuned
        assert not one.is_tuned(how.model_copy(update={"guidance": None}))
