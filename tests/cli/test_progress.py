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


@pytest.mark.parametrize(
    ("long", "told"), [("", ["reference     25 %", "6 steps       50 %", "6 steps       100 %"]), ("6", ["50", "100"])]
)
def test_a_log_has_a_line_a_tenth(
    long: str, told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "QUIET", 0.0)
    with logged_bar(long, "tuning") as bar:
        for what, done in (("reference", 1), ("reference", 10), ("6 steps", 20), ("6 steps", 21), ("6 steps", 40)):
            bar(done, 40, what)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(told)
    assert all(words in line for words, line in zip(told, lines, strict=True))
    assert all("left" in line for line in lines)


def test_a_log_is_quiet_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    with logged_bar("") as bar:
        bar(20, 40, "reference")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "command",
    [
        "sample RUN -n 5 --batch 2 --steps 3",
        "sample RUN -n 2 --steps 2 --solver heun --size 12x10 --whole",
        "sample RUN -n 3 --batch 2 --steps 2 --then LARGER",
        "sample RUN -n 1 --steps 2 --solver adaptive",
        "upscale LARGER PHOTO SMALL --batch 1 --steps 2",
        "inpaint RUN PHOTO --mask MASK -n 3 --batch 2 --steps 2",
        "inpaint RUN PHOTO --mask MASK --repaint 2x2 --steps 6",
        "outpaint RUN PHOTO --left 2 -n 2 --steps 2 --whole",
        "edit RUN PHOTO --strength 0.5 --steps 5",
        "restore RUN PHOTO --operator blur:1 -n 2 --batch 1 --steps 2",
        "interpolate RUN PHOTO SMALL -n 5 --batch 2 --steps 3 --fit stretch",
        "evaluate RUN -n 50 --batch 32 --steps 2",
        "likelihood RUN -n 60 --batch 7 --steps 3",
        "evaluate LARGER -n 40 --batch 16 --steps 2",
        "sweep RUN --solvers ddim,heun --steps 2,3 --samples 12 -n 2",
        "tune RUN --steps 2,3 --solvers unipc-2 -n 2",
        "check PHOTOS",
        "train digits --out OUT --set network.width=8 --during-training --set scoring.samples=16",
        "train-classifier RUN --width 8",
    ],
)
def test_each_part_of_a_command_rises_to_its_total(
    command: str,
    cli: Callable[..., int],
    digits_run: Path,
    enlarging_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng, told = np.random.default_rng(0), dict[Bar, list[tuple[str, int, int]]]()
    (tmp_path / "photos").mkdir()
    for name, size in (("photo", 8), ("small", 4)):
        Image.fromarray(rng.integers(0, 256, (size, size), np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    Image.fromarray(np.uint8([[0] * 4 + [255] * 4] * 8)).save(tmp_path / "mask.png")
    words = {
        "RUN": (copytree(digits_run, tmp_path / "run"),),
        "LARGER": (copytree(enlarging_run, tmp_path / "larger"),),
        "PHOTO": (tmp_path / "photos" / "photo.png",),
        "SMALL": (tmp_path / "photos" / "small.png",),
        "PHOTOS": (tmp_path / "photos",),
        "MASK": (tmp_path / "mask.png",),
        "OUT": (tmp_path / "out",),
    }
    name, *rest = command.split()
    flags = SMALL if name.startswith("train") else ()
    with monkeypatch.context() as patch:
        patch.setattr(Bar, "__call__", lambda bar, *now: told.setdefault(bar, []).append((*now, "")[:3]))
        assert cli(name, *(word for one in rest for word in words.get(one, (one,))), *flags) == 0
    assert told
    whole = name.startswith(("train", "tune"))  # whose notes are of one and the same part
    for each in told.values():
        for _, part in groupby(each, lambda now: "" if whole else now[2]):
            steps = list(part)
            done = [now[0] for now in steps]
            assert done == sorted(done)
            assert done[-1] == steps[-1][1]
            assert all(now[0] <= now[1] for now in steps)
