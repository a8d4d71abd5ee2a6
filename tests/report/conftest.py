import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddpm.config.distillation import DistillationConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.loading import load
from ddpm.images.sheets import sheet
from ddpm.records.likelihood import BitsRecord
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import Score
from ddpm.report import page as pages

Evaluate = Callable[..., Path]
Bits = Callable[[str, BitsRecord], Path]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with empty charts, for tests of their words: drawing takes most of a page's time."""
    monkeypatch.setattr(pages, "figure", lambda *panels, height=None: None)
    monkeypatch.setattr(pages, "inline", lambda fig, title: "<svg></svg>")


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of a run that may be changed."""
    return shutil.copytree(digits_run, tmp_path / "run")


@pytest.fixture
def weights(digits_run: Path) -> str:
    """Hash of the run's weights."""
    return load(digits_run, "cpu").weights


@pytest.fixture
def evaluate(run: Path) -> Evaluate:
    """Put a score and its pictures into the run, each later than the one before."""
    written = 0

    def put(name: str, score: Score, to: Path = run) -> Path:
        nonlocal written
        folder = to / "evaluations" / name
        folder.mkdir(parents=True)
        (folder / "score.json").write_text(score.to_json(), encoding="utf-8")
        pixels = np.random.default_rng(written).integers(0, 256, (4, 8, 8, 1), np.uint8)
        for picture in ("sheet.png", "closest.png"):
            sheet(pixels).save(folder / picture)
        written += 1
        os.utime(folder / "score.json", (written, written))
        return folder

    return put


@pytest.fixture
def student(run: Path, weights: str) -> Path:
    """A run that says it is a 2-step student of the other one, guidance 2."""
    folder = shutil.copytree(run, run.with_name("fast"))
    shutil.rmtree(folder / "evaluations", ignore_errors=True)
    how = SamplingConfig.of(grid=(1000.0, 750.0, 500.0, 250.0), guidance=2.0)
    taught = DistillationConfig(teacher=str(run), weights=weights, sampling=how)
    own = SamplingConfig.of(solver="ddim", grid=(1000.0, 500.0), clip=False)
    request = {"steps": 2, "images": "192"}
    config = RunFolder(run).config().model_copy(update={"sampling": own, "distillation": taught, "request": request})
    config.write(RunFolder(folder).config_file)
    return folder


@pytest.fixture
def bits(run: Path) -> Bits:
    """Put bits per dimension into the run, each later than the one before."""
    written = 0

    def put(name: str, record: BitsRecord) -> Path:
        nonlocal written
        folder = run / "likelihood" / name
        folder.mkdir(parents=True)
        (folder / "bits.json").write_text(record.to_json(), encoding="utf-8")
        written += 1
        os.utime(folder / "bits.json", (written, written))
        return folder

    return put
