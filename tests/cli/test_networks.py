"""Networks of other kinds from the command line and from Python, through all that a run leads to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddpm
from ddpm.pipeline import load

Cli = Callable[..., int]
SHORT = ("--images", "64", "--batch", "16", "--precision", "fp32")
LEARNED = ("--variance", "learned", "--loss", "hybrid")
TINY = ("--set", "network.depth=2", "--width", "32")


NAMED = {"size": "XXS", "depth": 2, "width": 32, "heads": 2, "cond_width": 32}
PLAIN_UNET = {"width": 8, "multipliers": [1.0, 2.0], "norm_groups": 8, "cond_width": 32}


@pytest.mark.parametrize(("kind", "named"), [("dit", NAMED), ("plain-dit", NAMED), ("plain-unet", PLAIN_UNET)])
def test_a_run_leads_to_all_others(cli: Cli, kind: str, named: dict[str, Any], tmp_path: Path) -> None:
    run, student = tmp_path / "run", tmp_path / "student"
    shape = ("--set", "network.width=8") if kind == "plain-unet" else TINY
    assert cli("train", "digits", "--out", run, "--network", kind, *shape, *SHORT, *LEARNED) == 0
    network = json.loads((run / "config.json").read_text())["network"]
    assert network.items() >= {"kind": kind, "out_channels": 2, **named}.items()
    few = ("--steps", "2", "--teacher-steps", "3", "--images", "32", "--batch", "16")
    assert cli("distill", run, "--out", student, *few) == 0
    for one in (run, student):
        assert cli("sample", one, "-n", "2", "--label", "3", "--out", one / "pictures") == 0
    assert cli("train-classifier", run, "--images", "32", "--batch", "16", "--width", "8") == 0
    pipe = load(run, "cpu")
    guided = pipe.sample(1, label="3", steps=2, classifier=2.0)[0]
    assert guided.size == (8, 8)


def test_super_resolution(cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    enlarging = ("--recipe", "super-resolution", "--scale", "2")
    assert cli("train", "digits", "--out", run, "--network", "dit", *TINY, *SHORT, *enlarging) == 0
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(small)
    assert cli("upscale", run, small, "--steps", "2") == 0


def test_from_python_by_name_or_section(tmp_path: Path) -> None:
    how = {"batch": 16, "precision": "fp32", "width": 32}
    made = [
        ddpm.train("digits", out=tmp_path / str(i), budget=32, **how, **network)
        for i, network in enumerate([{"network": "dit"}, {"network": {"kind": "dit"}}])
    ]
    one, other = (pipe.sample(1, steps=2)[0] for pipe in made)
    assert one.tobytes() == other.tobytes()
