"""Quality against training minutes: which scores share a panel."""

import json
import shutil
from pathlib import Path

import pytest

from ddpm.records.run_folder import RunFolder
from ddpm.records.score import Score
from ddpm.report.reading import read
from ddpm.report.subjects import Basis, Subject, subjects
from ddpm.report.training_time import Panel, best, command, missing, panels, table

from .conftest import Evaluate
from .lines import drawn
from .scores import MEASURE, make_score

SPEED = 2.0
"""Images per second, so that 60 images take half a minute."""


def at(minutes: float, frechet: float, weights: str = "w", **how: object) -> Score:
    """An evaluation of weights after so many minutes."""
    score = make_score(weights, frechet, images=round(120 * minutes), **how)
    samples = score.samples.model_copy(update={"seconds": 60 * minutes})
    return score.model_copy(update={"samples": samples})


def logged(run: Path, *scores: dict[str, object]) -> None:
    """Replace the log by one at a known speed, with these scores."""
    lines = [{"kind": "train", "step": k, "images": 120 * k, "images_per_s": SPEED, "loss": 1.0} for k in (1, 2, 3)]
    events = [*lines, *({"kind": "score", "step": 1, **score} for score in scores)]
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def found(*folders: Path, like: Basis | None = None) -> tuple[list[Subject], list[Panel]]:
    group = subjects([read(folder) for folder in folders])
    return group, panels(group, like)


def test_a_single_score_is_no_panel(run: Path, evaluate: Evaluate) -> None:
    evaluate("only", at(1, 12.0))
    assert found(run)[1] == []


def test_scores_during_training_share_a_panel_if_taken_alike(run: Path, tmp_path: Path) -> None:
    """The best is what training marked; values that are no numbers, and those later than the log, are left out."""
    other = shutil.copytree(run, tmp_path / "other")
    logged(
        run,
        {"images": 60, "frechet": 50.0, "n": 32, "best": True},
        {"images": 180, "frechet": 30.0, "n": 32, "best": True},
        {"images": 240, "frechet": 35.0, "n": 32, "best": False},
        {"images": 300, "frechet": float("nan"), "n": 32, "best": True},
        {"images": 360, "frechet": 9.0, "n": 2048},
        {"images": 999, "frechet": 8.0, "n": 2048},
    )
    logged(other, {"images": 120, "frechet": 40.0, "n": 32}, {"images": 360, "frechet": 10.0, "n": 2048})
    group, (few, many) = found(run, other)
    assert drawn(few.draw()) == {
        "run: during training": [(0.5, 50), (1.5, 30), (2, 35)],
        "other: during training": [(1, 40)],
        "best": [(1.5, 30)],
    }
    assert drawn(many.draw()) == {"run: during training": [(3, 9)], "other: during training": [(3, 10)]}
    assert [panel.caption.split(", ")[1] for panel in (few, many)] == ["32 samples", "2,048 samples"]
    assert best(group[0], [few, many]) == 180
    _, rows = table([few, many])
    assert rows[0] == ("run", "during training", "32", "60", "0.50", "50.0", "–")
    assert len(rows) == 6


def test_evaluations_of_checkpoints(run: Path, evaluate: Evaluate) -> None:
    """One way of sampling: one with several stages, preferably the run's default."""
    default = {"guidance": 1.15, "steps": 20}
    for steps in (5, 10):
        for minutes in (1, 2, 3):
            evaluate(f"{steps} {minutes}", at(minutes, steps * minutes, str(minutes), steps=steps))
    assert "unipc-2, 5 steps, trailing grid, guidance 1" in drawn(found(run)[1][0].draw())
    evaluate("late", at(2, 20.0, "late", **default))
    evaluate("early", at(1, 40.0, "early", **default))
    evaluate("other measure", at(3, 1.0, "end", measure=MEASURE.model_copy(update={"n": 9}), **default))
    group, (panel,) = found(run, like=Basis.of(at(1, 1.0)))
    assert drawn(panel.draw()) == {
        "unipc-2, 20 steps, trailing grid, guidance 1.15": [(1, 40), (2, 20)],
        "best": [(2, 20)],
        "64 real images": [(0, 2.5), (1, 2.5)],
    }
    assert best(group[0], [panel]) == 240
    assert table([panel])[1][1][2:] == ("64", "240", "2.00", "20.0", "19.0 to 21.0")


def test_a_student_has_a_course_only_with_several_checkpoints(run: Path, student: Path, evaluate: Evaluate) -> None:
    """Whereas other runs side by side need but one score each."""
    evaluate("teacher", at(2, 5.0))
    evaluate("early", at(1, 9.0, "early"))
    evaluate("student", at(1, 7.0), student)
    group, (panel,) = found(run, student)
    assert [course.subject.name for course in panel.courses] == ["run"]
    kept = f"ddpm evaluate {student} -n 64 --features small --checkpoints"
    assert missing(group, [panel], Basis.of(at(1, 1.0))) == {"fast over its training": kept}
    evaluate("student, early", at(0.5, 8.0, "student"), student)
    group, (panel,) = found(run, student)
    assert drawn(panel.draw())["fast: unipc-2, 10 steps, trailing grid, guidance 1"] == [(0.5, 8), (1, 7)]
    assert missing(group, [panel], None) == {}


def test_the_best_stage_is_surely_better_than_the_last(run: Path, evaluate: Evaluate) -> None:
    """Their intervals reach 1 to either side."""
    for middle, images in ((8.5, 360), (7.5, 240)):
        evaluate("early", at(1, 9.0, "early"))
        evaluate("middle", at(2, middle, "middle"))
        evaluate("late", at(3, 10.0, "late"))
        group, found_panels = found(run)
        assert best(group[0], found_panels) == images
        shutil.rmtree(run / "evaluations")


@pytest.mark.parametrize("several", [True, False])
def test_the_command_that_scores_a_run_over_its_training(several: bool, run: Path, student: Path) -> None:
    for folder in () if several else (run, student):
        shutil.rmtree(RunFolder(folder).checkpoints)
    own, fast = (command(subjects([read(folder)])[0], None) for folder in (run, student))
    if several:
        assert (own, fast) == (f"ddpm evaluate {run} --checkpoints", f"ddpm evaluate {student} --checkpoints")
    else:
        assert own.startswith(f"ddpm train digits --out {run}-scored --images 192 ")
        assert own.endswith(" --during-training")
        assert fast == ""
