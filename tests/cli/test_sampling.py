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


def test_an_option_of_a_solver_is_recorded(cli: Cli, digits_run: Path, tmp_path: Path) -> None:
    for solver, flag, value in [
        ("edm", "churn", 2.0),
        ("adaptive", "tolerance", 0.02),
        ("euler-ancestral", "eta", 0.5),
        ("ancestral", "temperature", 0.9),
    ]:
        asked = ("--solver", solver, f"--{flag}", value, "--steps", "2", "-n", "1", "--out", tmp_path)
        assert cli("sample", digits_run, *asked) == 0
        how = Provenance.read(tmp_path / "00000.png").sampling
        assert (how.solver.name, getattr(how.solver, flag)) == (solver, value)


def test_help_has_every_option_and_names_every_solver_and_grid(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {f"--{name.replace('_', '-')}" for name in options(SamplingConfig) if name not in sampling.OWN}
    for command in ("sample", "evaluate", "upscale", "edit"):
        assert cli(command, "--help") == 0
        assert {*flags, *build.SOLVERS, *build.GRIDS} <= set(re.findall(r"[\w+-]+", capsys.readouterr().out)), command


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
