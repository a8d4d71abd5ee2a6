"""Runs that take prompts: every image depends on its own prompt alone, and every task takes one."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tiny import NETWORKS, loaded

from cases import cases
from ddpm.pipeline import Pipeline
from ddpm.records.provenance import KEY, Provenance
from refusal import refuses

KINDS = [kind for kind in NETWORKS if kind not in ("plain-dit", "lucidrains-unet")]
PROMPTS = ["red heart", "", "a shape that is (blue:1.4) and green and red", "red heart"]


def pipeline(kind: str = "unet") -> Pipeline:
    return Pipeline(loaded("RGB", kind=kind, text=True))


def drawn(pipe: Pipeline, n: int = 1, **asked: Any) -> np.ndarray:
    found: np.ndarray = pipe.sample(n, output="numpy", **asked)
    return found


@cases("kind", KINDS)
def test_an_image_depends_on_its_own_prompt_alone(kind: str) -> None:
    pipe = pipeline(kind)
    batch = drawn(pipe, 4, prompt=PROMPTS, guidance=3.0, negative_prompt="green", label="star")
    for i, prompt in enumerate(PROMPTS):
        alone = drawn(pipe, prompt=prompt, guidance=3.0, negative_prompt="green", label="star", indices=[i])
        assert np.array_equal(alone[0], batch[i])
    assert not np.array_equal(batch[0], drawn(pipe, prompt="red", label="star", guidance=3.0)[0])


def test_an_empty_prompt_is_none() -> None:
    pipe = pipeline()
    assert np.array_equal(drawn(pipe, 2, prompt="", label="star"), drawn(pipe, 2, label="star"))
    assert np.array_equal(drawn(pipe, 2, prompt="  "), drawn(pipe, 2))


def test_a_picture_is_drawn_again_from_its_record() -> None:
    pipe = pipeline()
    made = pipe.sample(3, prompt=PROMPTS[:3], label="circle", guidance=2.0, guidance_label=4.0, seed=5)
    record = Provenance.from_json(made[2].info[KEY], "the picture")
    assert (record.prompt, record.label) == (PROMPTS[2], "circle")
    assert np.array_equal(pipe.again(record), made[2])


def test_equal_scales_of_label_and_prompt_are_one_scale() -> None:
    pipe = pipeline()
    asked = {"prompt": "red heart", "label": "star", "guidance": 3.0}
    for away in ({}, {"negative_prompt": "green"}):
        one, both = drawn(pipe, 2, **asked, **away), drawn(pipe, 2, **asked, **away, guidance_label=3.0)
        assert np.abs(one.astype(int) - both).max() <= 1
    assert not np.array_equal(drawn(pipe, 2, **asked), drawn(pipe, 2, **asked, guidance_label=1.0))


def test_interpolation_ends_at_both_prompts() -> None:
    pipe, ends = pipeline(), ["red heart", "blue shape"]
    for scales in ({}, {"guidance_label": 3.0}):
        asked: dict[str, Any] = {"label": "star", "seed": 3, "guidance": 2.0, **scales}
        strip = pipe.interpolate_conditions(n=5, prompt=ends, **asked, output="numpy")
        for k, prompt in zip((0, -1), ends, strict=True):
            assert np.array_equal(strip[k], drawn(pipe, prompt=prompt, **asked)[0])
        assert len({image.tobytes() for image in strip}) == 5


def test_windows_share_the_prompt() -> None:
    pipe = pipeline()
    asked: dict[str, Any] = {"size": (8, 20), "guidance": 2.0, "label": "star", "guidance_label": 3.0}
    batch = drawn(pipe, 2, prompt=["red", "a green heart"], **asked)
    alone = drawn(pipe, prompt="a green heart", indices=[1], **asked)
    assert np.array_equal(batch[1], alone[0])


@cases(
    ("task", "asked"),
    [
        ("inpaint", {"mask": Image.fromarray(np.tri(8, dtype=bool))}),
        ("outpaint", {"left": 4}),
        ("edit", {"strength": 0.7}),
        ("restore", {"operator": "blur:1"}),
    ],
)
def test_tasks_take_a_prompt(task: str, asked: dict[str, Any]) -> None:
    pipe = pipeline()
    photo = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    plain, prompted = (
        getattr(pipe, task)(photo, **asked, output="numpy", **extra) for extra in ({}, {"prompt": "red heart"})
    )
    assert not np.array_equal(plain, prompted)


def test_upscaling_takes_a_prompt() -> None:
    pipe = Pipeline(loaded("RGB", scale=2, text=True))
    small = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    plain, prompted = (pipe.upscale(small, output="numpy", **extra) for extra in ({}, {"prompt": "red heart"}))
    assert not np.array_equal(plain, prompted)
    labelled = pipe.upscale(small, output="numpy", label="star", guidance=2.0)
    # a prompt of no scale leaves the guidance to the label alone
    without = pipe.upscale(small, output="numpy", label="star", guidance_label=2.0, prompt="red heart", guidance=0.0)
    assert np.abs(labelled.astype(int) - without).max() <= 1


def test_what_cannot_be_prompted_is_refused() -> None:
    plain, pipe = Pipeline(loaded("RGB")), pipeline()
    with refuses("incompatible", "red", "shapes", "captions"):
        plain.sample(prompt="red")
    with refuses("incompatible", "green", "captions"):
        plain.sample(negative_prompt="green", guidance=2.0, label="star")
    with refuses("conflict", "2 prompts", "3 images"):
        pipe.sample(3, prompt=["a", "b"])
    with refuses("conflict", "negative_prompt", "red"):
        pipe.sample(prompt="red", negative_prompt="red", guidance=2.0)
    with refuses("conflict", "guidance_label"):
        pipe.sample(prompt="red", guidance=2.0, guidance_label=3.0)
    for empty in ("", " "):
        with refuses("conflict", "guidance 2", "prompt"):
            pipe.sample(prompt=empty, guidance=2.0)
    with refuses("missing", "interpolate"):
        pipe.interpolate_conditions(prompt="red")


def test_guidance_needs_a_prompt_or_a_label() -> None:
    pipe = pipeline()
    with refuses("conflict", "guidance"):
        pipe.sample(guidance=2.0)
    assert not np.array_equal(drawn(pipe, prompt="red", guidance=2.0), drawn(pipe, prompt="red"))


def test_a_negative_prompt_guides_no_prompt_in_particular() -> None:
    pipe = pipeline()
    away = drawn(pipe, prompt="", negative_prompt="red", guidance=2.0)
    assert not np.array_equal(away, drawn(pipe, prompt=""))


def test_a_weight_changes_the_image() -> None:
    pipe = pipeline()
    one, two = drawn(pipe, prompt="red (heart:1.5)"), drawn(pipe, prompt="red heart")
    assert not np.array_equal(one, two)
    assert np.array_equal(drawn(pipe, prompt="red (heart:1)"), two)
    with pytest.raises(Exception, match="weight"):
        drawn(pipe, prompt="red (heart:99)")
