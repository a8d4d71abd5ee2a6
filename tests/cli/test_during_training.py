"""`ddpm train --during-training`, with features that cost nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.metrics.memorisation import Thumbnail
from ddpm.planning import follow
from ddpm.report.reading import read
from ddpm.report.subjects import subjects
from ddpm.report.training_time import best
from ddpm.system.interrupt import Interrupt
from ddpm.training.loop import train
from flags import BARE

Cli = Callable[..., int]
Refused = Callable[..., str]
TINY = (
    *("--images", "96", "--batch", "16", "--precision", "fp32", *BARE),
    *("--set", "training.previews=1", "--set", "training.log_every=16"),
)
SCORED = (
    *("--during-training", "--set", "scoring.every=32", "--set", "scoring.samples=16"),
    *("--set", "scoring.steps=2", "--set", "scoring.share=1"),
)
"""Six steps of 16 digits, with scores after 2, 4 and 6."""


@pytest.fixture(autouse=True)
def _features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build_features", lambda *args: Thumbnail())


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def scores(out: Path) -> list[dict[str, Any]]:
    """The scores of a log, without the time they took."""
    return [{k: v for k, v in e.items() if k != "seconds"} for e in events(out) if e["kind"] == "score"]


def test_a_run_with_its_scores(cli: Cli, refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are logged, marked and printed, again for a finished run; a report reads them."""
    out = tmp_path / "run"
    assert cli("train", "digits", "--out", out, *TINY, *SCORED) == 0
    assert [(e["step"], e["images"], e["n"]) for e in scores(out)] == [(2, 32, 16), (4, 64, 16), (6, 96, 16)]
    marked = json.loads((out / "best.json").read_text())
    least = min(scores(out), key=lambda e: e["frechet"])
    assert marked["checkpoint"] == f"checkpoints/step-{least['step']:09d}"
    assert {key: marked[key] for key in ("step", "images", "frechet", "kid")} == {
        key: least[key] for key in ("step", "images", "frechet", "kid")
    }
    lines = capsys.readouterr().out
    said = re.sub(r"\s+", " ", lines)
    assert "scores about 3, from 16 samples each, at most 100 % of the time" in said
    assert said.count("Fréchet distance") == 4
    assert "from 16 samples, the best so far" in said
    where = out / marked["checkpoint"]
    assert f"best: {least['images']} images, Fréchet distance {least['frechet']:.4g}: ddpm sample {where}" in said
    assert cli("sample", where, "-n", "1", "--steps", "1", "--out", tmp_path / "x") == 0
    assert best(subjects([read(out)])[0], []) == marked["images"]
    capsys.readouterr()
    assert cli("train", "digits", "--out", out) == 0
    (again,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("best:"))
    assert again in lines.splitlines()
    said = refused("train", "digits", "--out", out, "--no-during-training", kept=out)
    assert "was started with --during-training; omit --no-during-training" in said


def test_stopped_and_gone_on(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli("train", "digits", "--out", whole, *TINY, *SCORED) == 0

    def stopped(job: Any, accelerator: Accelerator, interrupt: Interrupt) -> Any:
        for event in train(job, accelerator, interrupt):
            interrupt.requested = event.step == 3
            yield event

    with monkeypatch.context() as patch:
        patch.setattr(follow, "train", stopped)
        assert cli("train", "digits", "--out", parts, *TINY, *SCORED) == 75
    assert cli("train", "digits", "--out", parts) == 0
    assert scores(parts) == scores(whole)
    for name in ("best.json", "model.safetensors", "checkpoints/step-000000006/state.json"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_without_the_flag_there_are_none(
    cli: Cli, refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    said = refused("train", "digits", "--out", out, *TINY, "--set", "scoring.share=0.1", kept=tmp_path)
    assert "scoring.share has no effect without --during-training" in said
    assert cli("train", "digits", "--out", out, *TINY) == 0
    said = capsys.readouterr().out
    assert "best" not in said
    assert "scores" not in said
    assert RunConfig.read(out / "config.json").scoring is None
    assert scores(out) == []
    assert not (out / "best.json").exists()
    said = refused("train", "digits", "--out", out, "--during-training", kept=out)
    assert "was started without --during-training; omit --during-training to resume, or choose another --out" in said
