"""What a log is told of how far a command is."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from ddpm.cli import output
from ddpm.cli.output import logged_bar
from ddpm.system.console import Bar

SMALL = ("--images", "64", "--batch", "32", "--precision", "fp32")


COMMANDS = (
    "sample run -n 5 --batch 2 --steps 3",
    "sample run -n 2 --steps 2 --solver heun --size 12x10 --whole",
    "sample run -n 3 --batch 2 --steps 2 --then larger",
    "sample run -n 1 --steps 2 --solver adaptive --tolerance 1",
    "upscale larger photos/photo.png photos/small.png --batch 1 --steps 2",
    "inpaint run photos/photo.png --mask mask.png -n 3 --batch 2 --steps 2",
    "inpaint run photos/photo.png --mask mask.png --repaint 2x2 --steps 6",
    "outpaint run photos/photo.png --left 2 -n 2 --steps 2 --whole",
    "edit run photos/photo.png --strength 0.5 --steps 5",
    "restore run photos/photo.png --operator blur:1 -n 2 --batch 1 --steps 2",
    "interpolate run photos/photo.png photos/small.png -n 5 --batch 2 --steps 3 --fit stretch",
    "evaluate run -n 50 --batch 32 --steps 2",
    "likelihood run -n 15 --batch 7 --steps 2",
    "evaluate larger -n 40 --batch 16 --steps 2",
    "sweep run --solvers ddim,heun --steps 2 --samples 12 -n 2",
    "tune run --steps 2 --solvers unipc-2 -n 2",
    "check photos",
    "train digits --out out --set network.width=8 --set network.blocks=1 --during-training --set scoring.samples=16",
    "train-classifier run --width 8",
)


def test_a_log_has_a_line_a_tenth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every part or of one, but none at first."""
    parts = (("reference", 1), ("reference", 10), ("6 steps", 20), ("6 steps", 21), ("6 steps", 40))
    for quiet, long, told in [
        (0.0, "", ["reference     25 %", "6 steps       50 %", "6 steps       100 %"]),
        (0.0, "6", ["50", "100"]),
        (output.QUIET, "", []),
    ]:
        monkeypatch.setattr(output, "QUIET", quiet)
        with logged_bar(long, "tuning") as bar:
            for what, done in parts:
                bar(done, 40, what)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(told)
        assert all(words in line and "left" in line for words, line in zip(told, lines, strict=True))


def test_each_part_of_a_command_rises_to_its_total(
    cli: Callable[..., int], digits_run: Path, enlarging_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name, size in (("photo", 8), ("small", 4)):
        Image.fromarray(rng.integers(0, 256, (size, size), np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    Image.fromarray(np.uint8([[0] * 4 + [255] * 4] * 8)).save(tmp_path / "mask.png")
    copytree(digits_run, tmp_path / "run")
    copytree(enlarging_run, tmp_path / "larger")
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        told = dict[Bar, list[tuple[str, int, int]]]()
        name, *rest = command.split()
        flags = SMALL if name.startswith("train") else ()
        with monkeypatch.context() as patch:
            patch.setattr(Bar, "__call__", lambda bar, *now, told=told: told.setdefault(bar, []).append((*now, "")[:3]))
            assert cli(name, *rest, *flags) == 0, command
        assert told, command
        whole = name.startswith(("train", "tune"))  # whose notes are of one and the same part
        for each in told.values():
            for _, part in groupby(each, lambda now, whole=whole: "" if whole else now[2]):
                steps = list(part)
                done = [now[0] for now in steps]
                assert done == sorted(done), command
                assert done[-1] == steps[-1][1], command
                assert all(now[0] <= now[1] for now in steps), command
