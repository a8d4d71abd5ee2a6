from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.laws.every import SOLVERS

from ddpm.constraints import Blur
from ddpm.pipeline import Pipeline, load
from ddpm.system.errors import InputError

from .conftest import noise

NAMES = [name for name in SOLVERS if " " not in name]


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float)


@pytest.mark.parametrize("solver", NAMES)
def test_small_pictures_are_the_means_of_the_large_ones(pipeline, solver):
    """Up to rounding to 8 bits."""
    for method in ["mmps", "ddnm"]:
        small = Image.fromarray(np.random.default_rng(0).integers(100, 156, (4, 4, 3)).astype(np.uint8))
        how = {"solver": solver, "grid": "trailing", "steps": 3}
        how |= {"tolerance": 0.5} if solver == "adaptive" else {}  # few steps
        made = pixels(pipeline("RGB").restore(small, "downsample:2", method=method, **how))
        blocks = made.reshape(4, 2, 4, 2, 3)
        assert np.abs(blocks.mean((1, 3)) - pixels(small)).max() <= 0.5


def test_also_where_they_are_black_or_white(pipeline):
    """What is clipped at one pixel of a block is made up for by the others."""
    small = Image.fromarray(np.random.default_rng(0).choice([0, 8, 247, 255], (4, 4, 3)).astype(np.uint8))
    made = pixels(pipeline("RGB").restore(small, "downsample:2", steps=3)).reshape(4, 2, 4, 2, 3)
    assert np.abs(made.mean((1, 3)) - pixels(small)).mean() < 2  # of 255; clipped once at the end it is 21


def test_grey_pictures_get_colours_of_their_brightness(pipeline):
    grey = Image.fromarray(np.random.default_rng(0).integers(60, 196, (8, 8)).astype(np.uint8))
    first, second = pipeline("RGB").restore(grey, "grey", n=2)
    for made in (first, second):
        assert made.mode == "RGB"
        free = (pixels(made).min(-1) > 0) & (pixels(made).max(-1) < 255)
        assert free.sum() > 20
        luma = pixels(made) @ [0.299, 0.587, 0.114]
        assert np.abs(luma - pixels(grey))[free].max() <= 0.5
    assert (pixels(first) != pixels(second)).any()


@pytest.mark.parametrize("method", ["mmps", "ddnm"])
def test_blurred_again_they_are_the_given_pictures_to_two_grey_levels(digits_run, method):
    pipe = load(digits_run, "cpu")
    sharp = 64 + pixels(pipe.sample(1, seed=3)[0]) / 2  # away from black and white, which what is drawn is clipped to
    blur = Blur(1.0)

    def blurred(image: np.ndarray) -> np.ndarray:
        return blur.forward(torch.from_numpy(image)[None, None])[0, 0].numpy()

    given = blurred(sharp)
    photo = Image.fromarray(given.round().clip(0, 255).astype(np.uint8))
    made = pixels(pipe.restore(photo, "blur:1", method=method, steps=20))
    # what it was rounded by is taken for noise
    assert np.sqrt(np.mean((blurred(made) - given) ** 2)) < 2


def test_the_rounding_of_a_blurred_picture_is_not_magnified(digits_run):
    """Without a word of noise it is that of rounding; none at all would amplify it up to a hundredfold."""
    pipe = load(digits_run, "cpu")
    sharp = torch.from_numpy(pixels(pipe.sample(1, seed=3)[0]))[None, None]
    photo = Image.fromarray(Blur(2.0).forward(sharp)[0, 0].round().clamp(0, 255).to(torch.uint8).numpy())
    plain, exact, told = (
        pipe.restore(photo, "blur:2", steps=5, **how) for how in ({}, {"noise": 0.0}, {"noise": 12**-0.5})
    )
    assert plain.tobytes() == told.tobytes()
    assert plain.tobytes() != exact.tobytes()


@pytest.mark.parametrize(
    ("stored", "learned", "operator", "mode"),
    [
        ("LA", "RGB", "grey", "RGBA"),
        ("RGBA", "RGB", "blur:1", "RGBA"),
        ("LA", "L", "blur:1", "LA"),
        ("I;16", "L", "blur:1", "I;16"),
        ("I;16", "RGB", "grey", "RGB"),
    ],
)
def test_an_alpha_stays(pipeline, stored, learned, operator, mode):
    photo = noise(stored)
    made = pipeline(learned).restore(photo, operator)
    assert made.mode == mode
    if "A" in mode:
        np.testing.assert_array_equal(np.asarray(made)[..., -1], np.asarray(photo)[..., -1])


def test_transparent_grey_pictures_get_colours_of_their_brightness(pipeline):
    shades = np.random.default_rng(0).integers(100, 156, (8, 8))
    grey = Image.fromarray(np.dstack([shades, np.full((8, 8), 200)]).astype(np.uint8))
    made = pixels(pipeline("RGB").restore(grey, "grey"))[..., :3]
    free = (made.min(-1) > 0) & (made.max(-1) < 255)
    assert free.sum() > 20
    # of rounding to 8 bits on white, which the alpha magnifies, and again
    assert np.abs(made @ [0.299, 0.587, 0.114] - shades)[free].max() <= 0.5 + 255 / 200


def test_an_enlarged_picture_has_an_enlarged_alpha(pipeline):
    small = noise("RGBA", (4, 4))
    made = pipeline("RGB").restore(small, "downsample:2")
    assert (made.mode, made.size) == ("RGBA", (8, 8))
    whole = np.asarray(small)[..., 3].mean()
    assert abs(np.asarray(made)[..., 3].mean() - whole) < 10
    assert np.asarray(made)[..., 3].std() > 20


def test_a_run_whose_images_are_all_alike(pipeline):
    """Their standard deviation is 0, which says nothing of what is between."""
    plain, photo = pipeline("L"), noise("L", (4, 4))
    data = plain.config.data.model_copy(update={"std": (0.0,)})
    alike = Pipeline(replace(plain.run, config=plain.config.model_copy(update={"data": data})))
    made = alike.restore(photo, "downsample:2")
    assert made.tobytes() == plain.restore(photo, "downsample:2").tobytes()


def test_a_mask_is_inpainting(pipeline, tmp_path):
    mask = Image.fromarray((255 * (np.arange(64).reshape(8, 8) % 3 == 0)).astype(np.uint8))
    mask.save(tmp_path / "mask.png")
    photo = noise("RGB")
    made = pipeline("RGB").restore(photo, f"mask:{tmp_path}/mask.png", seed=2)
    assert made.tobytes() == pipeline("RGB").inpaint(photo, mask, seed=2).tobytes()


def test_noise_is_not_copied(digits_run):
    """With noise of its own a picture is followed less closely than without."""
    pipe = load(digits_run, "cpu")
    small = pipe.sample(1, seed=3)[0].resize((4, 4), Image.Resampling.BOX)
    rough = Image.fromarray(
        (pixels(small) + np.random.default_rng(0).normal(0, 40, (4, 4))).clip(0, 255).astype(np.uint8)
    )
    errors = []
    for std in (0.0, 40.0):
        made = pixels(pipe.restore(rough, "downsample:2", noise=std, steps=10, seed=1))
        errors.append(np.abs(made.reshape(4, 2, 4, 2).mean((1, 3)) - pixels(rough)).mean())
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("mode", "operator", "asked", "said"),
    [
        ("RGB", "gray", {}, r"e grey, downsample:4, blur:2 or mask:mask\.png"),
        ("RGB", "downsample:1", {}, "a whole number from 2 to 8, the side of the run's images"),
        ("RGB", "downsample:9", {}, "a whole number from 2 to 8"),
        ("RGB", "downsample:99999", {}, "a whole number from 2 to 8"),
        ("RGB", "downsample", {}, "--operator downsample"),
        ("RGB", "mask:", {}, "--operator mask"),
        ("RGB", "blur:0", {}, "a number of pixels above 0, as in blur:2"),
        ("RGB", "blur:far", {}, "a number of pixels above 0"),
        ("L", "grey", {}, "needs a run of RGB images"),
        ("RGB", "downsample:2", {"noise": -1.0}, "0 to 255 grey levels"),
        ("RGB", "downsample:2", {"noise": float("nan")}, "finite"),
        ("RGB", "downsample:2", {"noise": 1e200}, "0 to 255 grey levels"),
        ("RGB", "mask:x.png", {"noise": 2.0}, "noise 2 has no effect"),
        ("RGB", "grey", {}, "the image has the mode RGB, .* L; .*--fit crop"),
    ],
)
def test_what_cannot_be_restored(pipeline, mode, operator, asked, said):
    with pytest.raises(InputError, match=said):
        pipeline(mode).restore(noise("RGB"), operator, **asked)
