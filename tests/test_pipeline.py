"""The public face: a run's folder in, pictures out, by the functions that it stands for."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny import pipeline

import ddpm
from ddpm.tasks import edit, generate, inpaint, interpolate, likelihood, outpaint, restore, upscale


def test_a_run_needs_nothing_but_its_folder(digits_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data, no cache, and no pickle on the way."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pickle was read")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(torch.serialization, "load", never)
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "nothing"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(digits_run / name, moved)
    images = ddpm.load(moved).sample(2, label="3", steps=3)
    assert [(image.mode, image.size) for image in images] == [("L", (8, 8))] * 2
    assert not (tmp_path / "nothing").exists()


PHOTO, OTHER = (Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)) for i in (0, 1))
MASK = Image.fromarray(np.repeat(np.uint8([0, 255]), 4)[None].repeat(8, 0))


@pytest.mark.parametrize(
    ("name", "function", "given", "options"),
    [
        ("sample", generate.sample, (2,), {"label": "star", "seed": 3, "steps": 2}),
        ("inpaint", inpaint.inpaint, (PHOTO, MASK), {"n": 2, "method": "ddnm"}),
        ("outpaint", outpaint.outpaint, (PHOTO,), {"left": 2, "steps": 2}),
        ("edit", edit.edit, (PHOTO, 0.5), {"seed": 3}),
        ("restore", restore.restore, (PHOTO, "blur:1"), {"noise": 0.1}),
        ("interpolate", interpolate.interpolate, (PHOTO, OTHER), {"n": 3, "steps": 2}),
        ("upscale", upscale.upscale, ([PHOTO, OTHER],), {"seed": 3}),
        ("bits_per_dim", likelihood.bits_per_dim, ([PHOTO, OTHER],), {"steps": 3}),
    ],
)
def test_a_method_is_its_task(
    name: str, function: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any]
) -> None:
    pipe = pipeline("L", scale=2 if name == "upscale" else None)
    found, wanted = getattr(pipe, name)(*given, **options), function(pipe.run, *given, **options)

    def values(made: Any) -> list[Any]:
        each = made if isinstance(made, list) else [made]
        return [(one.tobytes(), one.info) if isinstance(one, Image.Image) else one.tolist() for one in each]

    assert values(found) == values(wanted)
