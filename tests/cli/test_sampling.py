"""The flags of solvers, from the command line to the record of a picture."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm import build
from ddpm.cli import sampling
from ddpm.config.options import options
from ddpm.config.sampling import SamplingConfig
from ddpm.records.provenance import Provenance

Cli = Callable[..., int]


@pytest.mark.parametrize(
    ("solver", "flag", "value"),
    [
        ("edm", "churn", 2.0),
        ("adaptive", "tolerance", 0.02),
        ("euler-ancestral", "eta", 0.5),
        ("ancestral", "temperature", 0.9),
    ],
)
def test_an_option_of_a_solver_is_recorded(
    cli: Cli, digits_run: Path, tmp_path: Path, solver: str, flag: str, value: float
) -> None:
    asked = ("--solver", solver, f"--{flag}", str(value), "--steps", "2", "-n", "1", "--out", tmp_path)
    assert cli("sample", digits_run, *asked) == 0
    how = Provenance.read(tmp_path / "00000.png").sampling
    assert (how.solver.name, getattr(how.solver, flag)) == (solver, value)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--churn", "1", "--solver", "ddim"], "churn is an option of edm, not of ddim"),
        (["--tolerance", "0.1", "--solver", "heun"], "tolerance is an option of adaptive, not of heun"),
        (["--solver", "edm", "--churn", "-1"], "churn must be at least 0"),
    ],
)
@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_an_option_of_another_solver_is_refused(
    cli: Cli, digits_run: Path, capsys: pytest.CaptureFixture[str], command: str, argv: list[str], said: str
) -> None:
    assert cli(command, digits_run, *argv) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["sample", "evaluate", "upscale", "edit"])
def test_help_has_every_option_and_names_every_solver_and_grid(
    cli: Cli, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert cli(command, "--help") == 0
    said = set(re.findall(r"[\w+-]+", capsys.readouterr().out))
    assert {*build.SOLVERS, *build.GRIDS} <= said
    assert {f"--{name.replace('_', '-')}" for name in options(SamplingConfig) if name not in sampling.OWN} <= said


@pytest.mark.parametrize("flag", [("--seed", "0"), ("--batch", "64"), ("-n", "16"), ("--solver", "unipc-2")])
def test_a_flag_given_with_a_picture_is_seen_whatever_its_value(
    cli: Cli, capsys: pytest.CaptureFixture[str], flag: tuple[str, str]
) -> None:
    assert cli("sample", "--from", "x.png", *flag) == 2
    assert f"{flag[0]} has no effect" in capsys.readouterr().err


def test_places_that_contradict_steps_are_refused_by_evaluate(
    cli: Cli, digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("evaluate", digits_run, "--grid", "1000,400", "--steps", "5", "-n", "10") == 2
    error = capsys.readouterr().err
    assert "steps is 5, but the grid lists 2 timesteps" in error
    assert error.count("\n") == 1


def test_a_trajectory_leaves_the_pictures_as_they_are(
    cli: Cli, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("sample", digits_run, "-n", "3", "--label", "3", "--steps", "4", "--batch", "2", "--solver", "ancestral")
    assert cli(*asked, "--out", tmp_path / "a") == 0
    capsys.readouterr()
    assert cli(*asked, "--out", tmp_path / "b", "--trajectory") == 0
    assert "3 trajectories" in capsys.readouterr().out
    usual = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    more = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert {name: more[name] for name in usual} == usual
    assert sorted(more.keys() - usual) == sorted(
        name for i in range(3) for name in (f"{i:05d}.gif", f"{i:05d}-trajectory.png")
    )
    assert cli("sample", "--from", tmp_path / "b" / "00000.png", "--trajectory") == 2
    assert "--trajectory has no effect" in capsys.readouterr().err
