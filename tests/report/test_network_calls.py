"""Quality against network calls: which lines there are, and what is missing."""

from pathlib import Path

from ddpm.config.sampling import SamplingConfig
from ddpm.records.run_folder import RunFolder
from ddpm.report.network_calls import OTHERS, Calls
from ddpm.report.reading import read
from ddpm.report.subjects import subjects

from .conftest import Evaluate
from .lines import drawn
from .scores import MEASURE, made_sweep, make_score, tuning


def calls(*folders: Path) -> Calls | None:
    return Calls.of(subjects([read(folder) for folder in folders]), None)


def shown(*folders: Path) -> Calls:
    found = calls(*folders)
    assert found is not None
    return found


def test_one_number_of_calls_is_no_line(run: Path, evaluate: Evaluate, weights: str) -> None:
    assert calls(run) is None
    evaluate("10 steps", make_score(weights))
    evaluate("as many calls", make_score(weights, steps=5, guidance=1.5))
    evaluate("other weights", make_score("v", steps=7))
    evaluate("adaptive", make_score(weights, solver="adaptive"))
    assert calls(run) is None


def test_a_line_for_each_way_of_sampling(run: Path, student: Path, evaluate: Evaluate, weights: str) -> None:
    """A guided step makes two calls; the latest evaluation counts, and each before sweeps."""
    own = {"guidance": 1.15}
    tuned = [SamplingConfig.of(solver="deis-3", grid=grid, **own) for grid in ((1000.0, 300.0), (900.0, 100.0, 9.0))]
    tuning(weights, *tuned).write(RunFolder(run).tuned_file)
    swept = {SamplingConfig.of(steps=steps, solver="ddim", **own): 40.0 - steps for steps in (5, 10)}
    made_sweep(weights, swept | {SamplingConfig.of(steps=5, **own): 99.0}).write(run / "sweeps" / "a" / "sweep.json")
    for steps, frechet in ((10, 13.0), (5, 30.0), (10, 12.0)):
        evaluate(f"{steps} {frechet}", make_score(weights, frechet, steps=steps, **own))
    for how in tuned:
        evaluate(f"tuned {how.steps}", make_score(weights, 20.0, solver="deis-3", grid=how.grid, **own))
    evaluate("half guided", make_score(weights, 11.0, guidance=2.0, guidance_interval=(0.0, 1.0)))
    evaluate("other measure", make_score(weights, measure=MEASURE.model_copy(update={"n": 9}), **own))
    student_way = {"solver": "ddim", "grid": (1000.0, 500.0), "clip": False}
    evaluate("student", make_score(weights, 14.0, **student_way), student)
    found = shown(run, student)
    interval = "guidance 2, guidance interval 0 to 1"
    assert found.common == ["trailing grid"]
    assert drawn(found.panel()) == {
        "run: unipc-2 (default), guidance 1.15": [(10, 30), (20, 12)],
        "run: tuned levels, guidance 1.15": [(4, 20), (6, 20)],
        "run: ddim, guidance 1.15": [(10, 35), (20, 30)],
        f"run: unipc-2, {interval}": [(14, 11)],
        "fast: 2-step student": [(2, 14)],
        "64 real images": [(0, 2.5), (1, 2.5)],
    }
    head, rows = found.table()
    assert {len(row) for row in rows} == {len(head)}
    assert rows[-1] == ("fast", "2-step student", "2", "2", "14.0", "13.0 to 15.0")
    assert found.missing() == {}
    alone = [way.words for way in shown(run).ways]
    assert alone[0] == "unipc-2 (default), trailing grid, guidance 1.15"


def test_a_student_without_its_teacher_says_whose_it_is(student: Path, evaluate: Evaluate, weights: str) -> None:
    config = RunFolder(student).config()
    assert config.distillation is not None
    taught = config.distillation.model_copy(update={"teacher": "runs/lost"})
    config.model_copy(update={"distillation": taught}).write(RunFolder(student).config_file)
    own = {"solver": "ddim", "clip": False}
    evaluate("own", make_score(weights, 14.0, grid=(1000.0, 500.0), **own), student)
    evaluate("other levels", make_score(weights, 19.0, grid=(1000.0, 500.0, 200.0), **own), student)
    assert drawn(shown(student).panel()) == {
        "2-step student of runs/lost, guidance 2": [(2, 14)],
        "ddim": [(3, 19)],
        "64 real images": [(0, 2.5), (1, 2.5)],
    }
    assert shown(student).missing() == {"the teacher of fast, which was not found": f"ddpm report {student} TEACHER"}


def test_what_is_missing_has_a_command(run: Path, student: Path, evaluate: Evaluate, weights: str) -> None:
    evaluate("10 steps", make_score(weights))
    evaluate("half guided", make_score(weights, guidance=2.0))
    measured = ["ddpm", "evaluate", str(run), "-n", "64", "--features", "small"]
    lacks = {what: command.split(" ") for what, command in shown(run).missing().items()}
    assert lacks == {
        "the default sampler of run in fewer steps": [*measured, "--steps", "5,10,20"],
        "run with tuned levels": ["ddpm", "tune", str(run), "--steps", "4,8", "&&", *measured, "--steps", "4,8"],
        "a student of run": ["ddpm", "distill", str(run), "--steps", "4", "--out", f"{run}-fast"],
    }
    tuning(weights, SamplingConfig.of(grid=(1000.0, 300.0))).write(RunFolder(run).tuned_file)
    lacks = {what: command.split(" ") for what, command in shown(run, student).missing().items()}
    assert lacks == {
        "the default sampler of run in fewer steps": [*measured, "--steps", "5,10,20", "--grid", "trailing"],
        "run with tuned levels": [*measured, "--steps", "2"],
        "fast, measured like the others": ["ddpm", "evaluate", str(student), *measured[3:]],
    }


def test_a_chart_has_few_other_ways_and_the_table_all(run: Path, evaluate: Evaluate, weights: str) -> None:
    solvers = ("ddim", "heun", "dpm++-2m", "deis-3", "ipndm-4", "ancestral")
    for frechet, solver in enumerate(solvers, 1):
        for steps in (2, 4):
            evaluate(f"{solver} {steps}", make_score(weights, 10.0 * frechet + 1 / steps, solver=solver, steps=steps))
    found = shown(run)
    lines = [label for label in drawn(found.panel()) if "real" not in label]
    assert lines == list(solvers[:OTHERS])
    assert len(found.table()[1]) == 2 * len(solvers)
