"""A run of 12 steps that is trained to 24 is the same however it gets there, and follows the schedule of 24."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from cli.conftest import Refused, refused, snapshot  # noqa: F401
from ddpm.records.run_folder import RunFolder
from ddpm.training.rate import learning_rate
from flags import BARE, sets
from stopping import digests, losses, stopped_at

Cli = Callable[..., int]
FLAGS = (
    *("--batch", "16", "--precision", "fp32", *BARE),
    *sets("training.checkpoint_every=64", "training.log_every=16", "training.previews=1", "training.averages=3"),
)


@pytest.fixture(scope="module")
def short(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 12 steps, for reading only."""
    out = tmp_path_factory.mktemp("longer") / "run"
    assert cli("train", "digits", "--out", out, "--images", "192", *FLAGS) == 0
    return out


def events(run: Path, kind: str) -> list[int]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if line["kind"] == kind]


def test_longer(
    short: Path,
    cli: Cli,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    refused: Refused,  # noqa: F811
) -> None:
    whole, parts = copytree(short, tmp_path / "whole"), copytree(short, tmp_path / "parts")
    command = ("train", "digits", "--images", "384", *FLAGS, "--out")
    assert cli(*command, whole, "--dry-run") == 0
    assert snapshot(whole) == snapshot(short)
    capsys.readouterr()
    assert cli(*command, whole) == 0
    printed = capsys.readouterr().out
    assert "384 images instead of 192" in printed
    with stopped_at(17):
        assert cli(*command, parts) == 75
    assert cli("train", "digits", "--out", parts) == 0
    assert digests(parts, 24) == digests(whole, 24)
    assert losses(parts) == losses(whole)
    assert losses(whole)[: len(losses(short))] == losses(short)
    assert [events(whole, kind) for kind in ("start", "finish")] == [[0, 12], [24]]
    config = RunFolder(whole).config()
    assert config.request["images"] == "384"
    assert config.training.images == 384
    assert f"{learning_rate(config.training, 12):.2g} after 192" in printed
    assert "| training | 384 images in batches" in (whole / "README.md").read_text()
    before = snapshot(whole)
    assert cli(*command, whole) == 0
    assert snapshot(whole) == before
    refused("train", "digits", "--out", whole, "--images", "192", kept=whole)


def test_what_cannot_train_for_longer(short: Path, cli: Cli, tmp_path: Path, refused: Refused) -> None:  # noqa: F811
    run = copytree(short, tmp_path / "run")
    assert "--images" in refused("train", "digits", "--out", run, "--for", "1h", kept=run)
    assert "--lr" in refused("train", "digits", "--out", run, "--images", "384", "--lr", "0.1", kept=run)
    (run / "checkpoints").rename(tmp_path / "elsewhere")
    assert "checkpoints" in refused("train", "digits", "--out", run, "--images", "384", kept=run)


def test_twice_the_time_is_twice_the_images(short: Path) -> None:
    from ddpm.planning.longer import longer
    from refusal import refuses

    config = RunFolder(short).config()
    timed = config.model_copy(update={"request": {"for": "90s", "size": "8"}})
    found = longer(timed, {"for": "3m"}, short)
    assert (found.training.images, found.request) == (384, {"for": "3m", "size": "8"})
    assert longer(timed, {"for": "1.5m"}, short).training.images == 192
    assert longer(timed, {"images": "1k"}, short).training.images == 1000
    assert longer(timed, {}, short) is timed
    with refuses("incompatible", "--for 80s"):
        longer(timed, {"for": "80s"}, short)
