"""``ddpm sweep`` from end to end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Refused = Callable[..., str]
QUICK = ("--solvers", "ddim,ancestral", "--steps", "2", "-n", "2")


def test_pictures_a_record_and_a_table(
    digits_run: Path, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    assert cli("sweep", run, *QUICK, "--samples", "10", "--guidance", "1,2") == 0
    said = capsys.readouterr().out
    assert "4 combinations, 2 images each, seed 0" in said
    assert f"{2 * (2 + 2) * (2 + 64) + 2 * 20 * 2:,} single-image network evaluations" in said
    assert "doubled by guidance" in said
    (folder,) = (run / "sweeps").iterdir()
    assert folder.name.startswith("ddim-ancestral-steps2-guidance1-2-seed0-")
    assert {path.name for path in folder.iterdir()} == {"samples.png", "chart.png", "sweep.json"}
    record = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert len(record["cells"]) == 4
    for cell in record["cells"]:
        assert f"{cell['frechet']['value']:.4g} (" in said
        assert cell["distance"] is None or f"{cell['distance']:.4f}" in said
    for name in ("samples.png", "chart.png"):
        assert str(folder / name) in said
        with Image.open(folder / name) as picture:
            picture.load()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert cli("sweep", run, *QUICK, "--samples", "10", "--guidance", "1,2") == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_solvers_that_draw_noise_alone_have_no_chart_without_samples(
    digits_run: Path, cli: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ("--solvers", "ancestral", "--steps", "2", "-n", "1", "--samples", "0", "--guidance", "1")
    assert cli("sweep", digits_run, *asked, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {"samples.png", "sweep.json"}
    assert "chart.png" not in capsys.readouterr().out
