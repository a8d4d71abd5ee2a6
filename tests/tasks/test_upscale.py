"""Small pictures made large: any size, any batch, and what is known of them kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm import load
from ddpm.pipeline import Pipeline
from ddpm.records.provenance import Provenance, image_hash
from ddpm.system.errors import InputError
from flags import BARE
from refusal import refuses

STEPS = {"steps": 3}


@pytest.fixture(scope="module")
def pipe(enlarging_run: Path) -> Pipeline:
    loaded = load(enlarging_run, "cpu")
    with torch.no_grad():  # a network of a few steps is close to zero, and would show little of what it is told
        for p in loaded.run.engine.model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    return loaded


def small(height: int = 4, width: int = 4, seed: int = 0) -> Image.Image:
    # away from black and white, which what is drawn is clipped to
    return Image.fromarray(np.random.default_rng(seed).integers(80, 176, (height, width), np.uint8))


def pixels(image: Image.Image) -> Any:
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize("seed", [0, 3])
def test_each_picture_alone_is_as_it_is_among_others(pipe: Pipeline, seed: int) -> None:
    pictures = [small(seed=i) for i in range(5)] + [small(9, 6, seed=5), small(seed=6), small(2, 3, seed=7)]
    together = pipe.upscale(pictures, seed=seed, **STEPS)
    for i, picture in enumerate(pictures):
        alone = pipe.upscale(picture, seed=seed, indices=[i], batch=2, **STEPS)
        assert np.array_equal(pixels(alone), pixels(together[i]))
        assert alone.size == (2 * picture.width, 2 * picture.height)


def test_seeds_make_different_things_up(pipe: Pipeline) -> None:
    a, b = (pixels(pipe.upscale(small(), seed=seed, **STEPS)) for seed in (0, 1))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 4), (7, 2), (40, 5)])
def test_the_means_of_boxes_are_the_small_picture(pipe: Pipeline, size: tuple[int, int]) -> None:
    """To the rounding of four pixels. The last is so long that it is drawn in windows."""
    given = [small(*size, seed=i) for i in range(8)]
    low = np.stack([pixels(one) for one in given])

    def boxes(images: list[Image.Image]) -> Any:
        # (N, h, 2, w, 2)
        return np.stack([pixels(one) for one in images]).reshape(8, size[0], 2, size[1], 2)

    held, free = (boxes(pipe.upscale(given, consistent=consistent, **STEPS)) for consistent in (True, False))
    inside = (held % 255 != 0).all((2, 4))  # nothing of it clipped
    assert inside.any()
    assert np.abs(held.mean((2, 4)) - low)[inside].max() <= 0.5
    assert np.abs(free.mean((2, 4)) - low).max() > 2


def test_what_is_told_changes_the_picture(pipe: Pipeline) -> None:
    asked: dict[str, dict[str, Any]] = {
        "plain": {},
        "noise": {"augment": 0.2},
        "more noise": {"augment": 0.4},
        "label": {"label": 3},
        "guided": {"label": 3, "guidance": 3.0},
        "not held": {"consistent": False},
    }
    made = {name: pixels(pipe.upscale(small(), **how, **STEPS)) for name, how in asked.items()}
    for name, image in made.items():
        for other, different in made.items():
            assert (name == other) == np.array_equal(image, different), (name, other)


def test_an_alpha_is_enlarged_with_what_it_covers(pipe: Pipeline) -> None:
    """Opaque, the colours are those of the same picture without one; transparent, what is there does not count."""
    shades, alpha = pixels(small()), np.repeat([[0, 255]], [1, 3], 1).repeat(4, 0)
    seen = np.where(alpha == 255, shades, 255).astype(np.uint8)
    picture = Image.fromarray(np.dstack([shades, alpha]).astype(np.uint8))
    large, plain = pipe.upscale([picture, Image.fromarray(seen)], indices=[0, 0], **STEPS)
    assert (large.mode, plain.mode, large.size) == ("LA", "L", (8, 8))
    colour, cover = pixels(large).transpose(2, 0, 1)
    assert (cover[:, 0] == 0).all()
    assert (cover[:, -3:] == 255).all()
    np.testing.assert_array_equal(colour[cover == 255], pixels(plain)[cover == 255])


def test_a_depth_stays(pipe: Pipeline) -> None:
    deep = Image.fromarray(pixels(small()).astype(np.uint16) * 257)
    large, plain = pipe.upscale([deep, small()], indices=[0, 0], **STEPS)
    assert large.mode == "I;16"
    np.testing.assert_array_equal(pixels(large), 257 * pixels(plain))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_mode_that_was_not_learned_is_refused(pipe: Pipeline, mode: str) -> None:
    with refuses("invalid"):
        pipe.upscale(small().convert(mode), **STEPS)
    assert pipe.upscale(small().convert("1"), **STEPS).mode == "L"


def test_the_picture_says_how_it_was_made(pipe: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    small().save(path)
    large = pipe.upscale(path, seed=7, indices=[3], label="5", augment=0.1, **STEPS)
    record = Provenance.model_validate_json(large.info["ddpm"])
    assert (record.seed, record.index, record.label, record.sampling.steps) == (7, 3, "5", 3)
    assert record.work is not None
    assert record.work.given == ((str(path), image_hash(Image.open(path))),)
    typed = r"--augment 0\.1 --no-consistent --index 3 --label 5 --seed 7 --solver ancestral --steps 3 "
    with pytest.raises(InputError, match=rf"ddpm upscale .*one\.png {typed}"):
        pipe.again(record)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"augment": 0.6}, "augment 0.6 .*0 to 0.5"),
        ({"augment": -0.1}, "augment -0.1 .*0 to 0.5"),
        ({"label": "cow"}, "unknown label 'cow'"),
        ({"guidance": 2.0}, "guidance 2.0 .*label"),
        ({"indices": [1, 2]}, "2 indices for 1 image"),
        ({"indices": [-1]}, "index -1"),
        ({"batch": 0}, "batch is 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"size": (16, 16)}, r"size \(16, 16\) has no effect"),
        ({"whole": True}, "whole True has no effect"),
    ],
)
def test_refused(pipe: Pipeline, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        pipe.upscale(small(), **asked)


def test_one_picture_of_one_and_a_list_of_a_list(pipe: Pipeline) -> None:
    alone, (listed,) = pipe.upscale(small(), **STEPS), pipe.upscale([small()], **STEPS)
    assert alone.tobytes() == listed.tobytes()
    with refuses("missing"):
        pipe.upscale([])


def test_what_the_run_has_not_learned(pipe: Pipeline, digits_run: Path) -> None:
    with refuses("incompatible"):
        load(digits_run, "cpu").upscale(small())
    photo = small(8, 8)
    others = (
        lambda: pipe.interpolate(photo, photo),
        lambda: pipe.edit(photo, 0.5),
        lambda: pipe.edit(photo, 0),
        lambda: pipe.inpaint(photo, Image.fromarray(np.eye(8) > 0)),
        lambda: pipe.outpaint(photo, left=1),
        lambda: pipe.restore(photo, "blur:1"),
    )
    for draw in (pipe.sample, lambda: pipe.bits_per_dim(np.zeros((1, 8, 8, 1), np.uint8)), *others):
        with refuses("incompatible"):
            draw()


def test_progress_counts_every_step(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    pipe.upscale([small(), small(5, 5), small()], progress=lambda *now: seen.append(now), **STEPS)
    assert seen == [(i, 6) for i in range(1, 7)]


Make = Callable[..., Path]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_any_mode_is_learned(mode: str, folder: Make, cli: Callable[..., int], tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ("--images", "8", "--batch", "4", "--precision", "fp32", "--recipe", "super-resolution", "--scale", "2")
    assert cli("train", folder(6, mode=mode), "--out", out, *flags, *BARE) == 0
    large = load(out, "cpu").upscale(small(3, 2).convert(mode), **STEPS)
    assert (large.mode, large.size) == (mode, (4, 6))
