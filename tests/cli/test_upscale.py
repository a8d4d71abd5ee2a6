"""Super-resolution by commands: train, upscale, a cascade, a score; and what is refused."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm.pipeline import Pipeline
from ddpm.records.provenance import Provenance
from ddpm.tasks import enlarging
from flags import BARE

Cli = Callable[..., int]
Refused = Callable[..., str]
FEW = ("--images", "8", "--batch", "4", "--precision", "fp32", "--recipe", "super-resolution", "--scale", "2")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "given" / f"{name}.png" for name in ("a", "b", "c")]
    paths[0].parent.mkdir()
    for i, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (4, 4 + i), np.uint8)).save(path)
    return paths


def test_pictures_become_larger_and_say_how(
    cli: Cli, enlarging_run: Path, pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--steps", "2", "--solver", "heun", "--augment", "0.1", "--seed", "5", "--consistent")
    assert cli("upscale", enlarging_run, *pictures, "-o", tmp_path / "large", *flags) == 0
    places = [tmp_path / "large" / path.name for path in pictures]
    assert capsys.readouterr().out.replace("\n", "").endswith("".join(map(str, places)))
    for i, place in enumerate(places):
        assert Image.open(place).size == (8 + 2 * i, 8)
        record = Provenance.read(place)
        assert (record.index, record.seed, record.sampling.solver.name) == (i, 5, "heun")
    alone = tmp_path / "alone.png"
    assert cli("upscale", enlarging_run, pictures[1], "--index", "1", "-o", alone, *flags) == 0
    assert Image.open(alone).tobytes() == Image.open(places[1]).tobytes()


def test_pictures_are_written_as_they_come(
    cli: Cli, enlarging_run: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a batch before the next one is drawn: of an interruption they are left."""
    drawn, found = enlarging.draw, []

    def draw(*args: Any) -> Any:
        found.append(sorted(path.name for path in (tmp_path / "large").glob("*")))
        return drawn(*args)

    monkeypatch.setattr(enlarging, "draw", draw)
    assert cli("upscale", enlarging_run, *pictures, "-o", tmp_path / "large", "--steps", "1") == 0
    assert found == [[], ["a.png"], ["a.png", "b.png"]]


def test_what_the_picture_says_repeats_it(
    cli: Cli, refused: Refused, enlarging_run: Path, pictures: list[Path], tmp_path: Path
) -> None:
    how = ("--steps", "3", "--solver", "edm", "--churn", "2", "--label", "3", "--guidance", "2", "--no-clip")
    assert cli("upscale", enlarging_run, pictures[2], "--index", "7", "--no-consistent", *how, "-o", tmp_path) == 0
    said = refused("sample", "--from", tmp_path / "c.png")
    (command,) = re.findall(r": ddpm (.*)", said)
    again = tmp_path / "again.png"
    assert cli(*command.split(), "-o", again) == 0
    assert Image.open(again).tobytes() == Image.open(tmp_path / "c.png").tobytes()


def test_a_cascade(cli: Cli, digits_run: Path, enlarging_run: Path, tmp_path: Path) -> None:
    flags = ("-n", "3", "--steps", "2", "--seed", "1", "--label", "4")
    assert cli("sample", digits_run, *flags, "--then", enlarging_run, "--out", tmp_path / "both") == 0
    assert cli("sample", digits_run, *flags, "--out", tmp_path / "base") == 0
    for i in range(3):
        name = f"{i:05d}.png"
        base, large = tmp_path / "both" / "base" / name, tmp_path / "both" / name
        assert Image.open(base).tobytes() == Image.open(tmp_path / "base" / name).tobytes()
        assert Image.open(large).size == (16, 16)
        same = tmp_path / "same.png"
        how = ("--seed", "1", "--label", "4", "--index", str(i), "-o", same)
        assert cli("upscale", enlarging_run, base, *how) == 0
        assert Image.open(same).tobytes() == Image.open(large).tobytes()
    assert Image.open(tmp_path / "both" / "grid.png").size == (130, 130)


def test_a_cascade_has_a_folder_of_its_own(cli: Cli, digits_run: Path, enlarging_run: Path, tmp_path: Path) -> None:
    """The samples of the first run alone are not overwritten by large ones."""
    run = shutil.copytree(digits_run, tmp_path / "run")
    flags = ("-n", "1", "--steps", "1")
    assert cli("sample", run, *flags) == 0
    (alone,) = (run / "samples").iterdir()
    assert cli("sample", run, *flags, "--then", enlarging_run) == 0
    assert Image.open(alone / "00000.png").size == (8, 8)
    (both,) = (folder for folder in (run / "samples").iterdir() if folder != alone)
    assert both.name == f"{alone.name}-then-enlarging"
    assert Image.open(both / "00000.png").size == (16, 16)


@pytest.mark.parametrize("second", ["DIGITS", "COLOUR"])
def test_a_cascade_that_cannot_be_is_refused_before_anything_is_drawn(
    second: str,
    cli: Cli,
    refused: Refused,
    folder: Callable[..., Path],
    digits_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    then, said = digits_run, "was not trained for super-resolution"
    if second == "COLOUR":
        then, said = (
            tmp_path / "run",
            f"generates L images, but {tmp_path / 'run'} upscales RGB",
        )
        assert cli("train", folder(6), *FEW, *BARE, "--out", then) == 0
    monkeypatch.setattr(Pipeline, "sample", lambda *args, **asked: pytest.fail("drawn"))
    assert said in refused("sample", digits_run, "-n", "2", "--then", then, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_score_beside_bicubic(
    cli: Cli, enlarging_run: Path, folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "score.json"
    real = folder(24, size=(8, 8), mode="L")
    assert cli("evaluate", enlarging_run, "--data", real, "-n", "12", "--steps", "2", "--out", out) == 0
    printed = capsys.readouterr().out
    score = json.loads(out.read_text())
    assert (score["n"], score["reference"]["images"], score["consistent"], score["augment"]) == (12, 24, True, 0.0)
    assert score["run"]["consistency"] > score["bicubic"]["consistency"]
    assert f"PSNR          {score['run']['psnr']:>10.2f}{score['bicubic']['psnr']:>10.2f}  dB" in printed
    (found,) = enlarging_run.glob("evaluations/upscaled-ancestral2-*/upscaling.json")
    assert found.read_bytes() == out.read_bytes()
    assert Image.open(found.with_name("sheet.png")).size == (12 * 66 - 2, 4 * 66 - 2)


def test_a_score_of_the_images_held_out_with_their_partners(
    cli: Cli, refused: Refused, folder: Callable[..., Path], tmp_path: Path
) -> None:
    """The small images that the run was given are black: what is made of them has no contrast, whatever the scale."""
    high, low, run = folder(240), folder(240, size=(4, 4), name="small"), tmp_path / "run"
    for path in low.iterdir():
        Image.new("RGB", (4, 4)).save(path)
    assert cli("train", high, "--low", low, *FEW, *BARE, "--out", run) == 0
    assert cli("evaluate", run, "-n", "12", "--steps", "1", "--out", tmp_path / "score.json") == 0
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["n"] == score["reference"]["images"] == 12  # a twentieth
    assert min(abs(mean) for mean in score["bicubic"]["mean_difference"]) > 100
    Image.new("RGB", (8, 8)).save(min(high.iterdir()))
    said = refused("evaluate", run, "-n", "12", "--steps", "1")
    assert "have changed since the run started" in said
    assert "pass others with --data" in said


def test_small_images_may_be_given(cli: Cli, refused: Refused, folder: Callable[..., Path], tmp_path: Path) -> None:
    high, low = folder(6), folder(6, size=(4, 4), name="small")
    train = ("train", high, "--low", low, *FEW, *BARE)
    assert cli(*train, "--out", tmp_path / "given") == 0
    assert cli("train", high, *FEW, *BARE, "--out", tmp_path / "made") == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("given", "made")]
    assert weights[0] != weights[1]
    other = ("train", high, "--low", high, *FEW, *BARE, "--out", tmp_path / "given")
    assert f"started with --low {low}" in refused(*other)
    (low / "3.png").rename(low / "x.png")
    assert "3 has no partner in" in refused(*train, "--out", tmp_path / "other")
    (low / "x.png").rename(low / "3.png")
    Image.new("RGB", (4, 4)).save(low / "0.png")
    assert "small images of" in refused(*train, "--out", tmp_path / "given")


def test_the_card_names_the_command(enlarging_run: Path) -> None:
    text = (enlarging_run / "README.md").read_text(encoding="utf-8")
    assert f"ddpm upscale {enlarging_run} small.png" in text
    assert ".upscale(" in text
    assert "ddpm sample" not in text


def test_another_picture_of_the_same_name_has_another_folder(
    cli: Cli, enlarging_run: Path, pictures: list[Path]
) -> None:
    here = enlarging_run / "upscaled"
    other = pictures[0].parent / "elsewhere" / pictures[0].name
    other.parent.mkdir()
    other.write_bytes(pictures[1].read_bytes())
    for given, *flags in ((pictures[0],), (other,), (pictures[0], "--seed", "1"), (pictures[0],)):
        assert cli("upscale", enlarging_run, given, "--steps", "2", *flags) == 0
    assert len(list(here.rglob("*.png"))) == 3


def test_no_picture_from_elsewhere_is_overwritten_by_a_larger_one(
    refused: Refused, enlarging_run: Path, pictures: list[Path], tmp_path: Path
) -> None:
    said = refused("upscale", enlarging_run, pictures[0], "--steps", "2", "-o", pictures[1], kept=tmp_path)
    assert f"{pictures[1]} already exists" in said
