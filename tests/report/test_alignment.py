"""The section of a run's page on captions."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm.config.sampling import SamplingConfig
from ddpm.config.text import WordsConfig
from ddpm.images.prompted import prompted
from ddpm.metrics.estimate import Estimate
from ddpm.records.alignment import AlignmentRecord, ClipScore, LevelLoss, Retrieval
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import ReferenceRecord
from ddpm.report import alignment
from ddpm.report.page import render
from ddpm.report.reading import read

from .scores import around
from .test_page import ALWAYS, LOGGED, page

PROMPTS = ("a <b>red</b> heart", "at night (3:45)")


def record(weights: str, **changed: Any) -> AlignmentRecord:
    """A record with every part."""
    levels = tuple(
        LevelLoss(
            first=first,
            last=first + 100,
            right=0.5,
            null=Estimate(value=-0.01, low=-0.02, high=0.005),
            shuffled=Estimate(value=0.05, low=0.04, high=0.06),
        )
        for first in (63, 313, 563, 813)
    )
    made = AlignmentRecord(
        weights=weights,
        seed=0,
        n=89,
        held_out=True,
        labels=True,
        reference=ReferenceRecord(source="digits", hash="r", images=89),
        levels=levels,
        retrieval=Retrieval(among=10, samples=100, images=89, drawn=around(0.5), real=around(0.25)),
        sampling=SamplingConfig(),
        clip=ClipScore(folder="models/clip", hash="h", drawn=around(24.0), real=around(26.0)),
        prompts=PROMPTS,
    )
    return made.model_copy(update=changed)


@pytest.fixture
def text_run(run: Path) -> Path:
    """A run that says it has captions."""
    folder = RunFolder(run)
    text = WordsConfig(vocabulary="red heart", characters="abc", length=8)
    config = folder.config()
    network = replace(config.network, token_width=config.network.cond_width)
    config.model_copy(update={"text": text, "network": network}).write(folder.config_file)
    (run / "model.safetensors").unlink()
    return run


def add(run: Path, made: AlignmentRecord) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2 * len(made.prompts), 8, 8, 1), np.uint8)
    prompted(images, made.prompts).save(RunFolder(run).alignment_sheet)
    made.write(RunFolder(run).alignment_file)


def test_a_run_with_captions_says_how_well_it_follows_them(text_run: Path) -> None:
    before = page(text_run)
    assert f"how well it follows captions: ddpm alignment {text_run}" in before.text
    assert "with captions (2 words, 8 tokens)" in before.text
    add(text_run, record("w"))
    seen = page(text_run)
    assert "captions" in seen.sections
    assert "follows captions" not in seen.text
    for said in (
        *("on 89 held-out images with their own captions", "and the same classes"),
        *("63 to 163 0.500 −1.00\u00a0% −2.00\u00a0% to +0.50\u00a0% +5.00\u00a0% +4.00\u00a0% to +6.00\u00a0%",),
        *("Among 10 captions", "50.0\u00a0% (45.0\u00a0% to 55.0\u00a0%) of 100 samples", "by chance, 10.0\u00a0%"),
        *("The CLIP score is 24.0 (21.6 to 26.4)", "in models/clip", "a <b>red</b> heart", "at night (3:45)"),
        r"--prompt 'a <b>red</b> heart'",
        alignment.CAPTION,
    ):
        assert said in seen.text, said
    assert len([link for link in seen.links if link.startswith("data:image")]) > len(PROMPTS)
    assert "for other weights" in seen.text


@pytest.mark.usefixtures("undrawn")
def test_parts_that_are_missing_are_left_out(text_run: Path) -> None:
    add(text_run, record("w"))
    record("w", retrieval=None, clip=None, labels=False, held_out=False).write(RunFolder(text_run).alignment_file)
    RunFolder(text_run).alignment_sheet.write_bytes(b"half a picture")
    seen = page(text_run)
    assert "on 89 images from digits" in seen.text
    for gone in ("Among", "CLIP", "Samples by prompt", "same classes"):
        assert gone not in seen.text


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_record_and_a_run_without_captions_show_nothing(run: Path, text_run: Path) -> None:
    RunFolder(text_run).alignment_file.write_text("{", encoding="utf-8")
    assert "captions" not in page(text_run).sections


@pytest.mark.usefixtures("undrawn")
def test_other_runs_are_as_before(run: Path) -> None:
    seen = page(run)
    assert seen.sections == ALWAYS | LOGGED | {"absent"}
    assert "follows captions" not in seen.text
    assert "with captions" not in seen.text


@pytest.mark.usefixtures("undrawn")
def test_rows_stand_next_to_their_prompts(run: Path) -> None:
    add(run, record("w"))
    found = alignment.sheet(read(run))
    assert [prompt for prompt, _ in found] == list(PROMPTS)
    assert [row.size for _, row in found] == [(130, 64), (130, 64)]
    shutil.rmtree(run / "previews")
    assert "Samples by prompt" in render(read(run))
