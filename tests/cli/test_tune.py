"""``ddpm tune``, and what sampling makes of it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm.records.tuning import TunedRecord

Refused = Callable[..., str]


def test_tuned_and_sampled(
    digits_run: Path, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    assert cli("tune", run, "--steps", "3,2", "-n", "2", "--solvers", "dpm++-2m") == 0
    said = capsys.readouterr().out
    assert "distance from the 200-step solution, over 2 samples" in said
    most, asked = (
        int(re.search(rf"{word} +(?:up to )?([\d,]+) single-image network evaluations", said)[1].replace(",", ""))
        for word in ("tuning", "cost")
    )
    assert 2 * 2 * 200 < asked <= most
    record = TunedRecord.read(run / "tuned.json")
    assert record is not None
    assert [grid.sampling.steps for grid in record.grids] == [2, 3]
    for grid in record.grids:
        assert f"{grid.tuned:.4f}" in said
    assert cli("sample", run, "-n", "1", "--label", "3", "--steps", "2", "--out", tmp_path / "drawn") == 0
    said = capsys.readouterr().out
    assert record.grids[0].sampling.words in said
    assert cli("sample", "--from", tmp_path / "drawn" / "00000.png") == 0
    again = (tmp_path / "drawn" / "00000-again.png").read_bytes()
    assert len(again) > 0
    assert cli("tune", run, "--steps", "4", "-n", "2", "--solvers", "dpm++-2m") == 0
    joined = TunedRecord.read(run / "tuned.json")
    assert joined is not None
    assert [grid.sampling.steps for grid in joined.grids] == [2, 3, 4]
