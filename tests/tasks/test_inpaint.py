from itertools import cycle

import numpy as np
import pytest
from PIL import Image
from tests.laws.every import SOLVERS

from ddpm.records.provenance import KEY, Provenance, Work, image_hash
from ddpm.system.errors import InputError
from refusal import refuses

from .conftest import noise

HARD = Image.fromarray(np.where(np.arange(8)[:, None] + np.zeros(8) < 5, 0, 255).astype(np.uint8))
GREY = Image.fromarray(np.random.default_rng(3).integers(0, 256, (8, 8)).astype(np.uint8))
NAMES = [name for name in SOLVERS if " " not in name]


def known(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask) < 128


@pytest.mark.parametrize(
    ("solver", "mode", "kind"), list(zip(NAMES, cycle(["L", "RGB", "RGBA"]), cycle(["unet", "dit"]), strict=False))
)
def test_known_pixels_stay_byte_for_byte(pipeline, solver, mode, kind):
    """Every solver by both methods, each of them in every mode, with a network of each kind."""
    photo = noise(mode)
    for method in ("mmps", "ddnm"):
        how = {"solver": solver, "grid": "trailing", "label": "star", "method": method}
        how |= {"tolerance": 0.5} if solver == "adaptive" else {}  # few steps
        images = pipeline(mode, kind=kind).inpaint([photo, photo], [HARD, GREY], n=2, **how)
        for mask, first, second in ((HARD, *images[:2]), (GREY, *images[2:])):
            for made in (first, second):
                assert (made.mode, made.size) == (photo.mode, photo.size)
                np.testing.assert_array_equal(np.asarray(made)[known(mask)], np.asarray(photo)[known(mask)])
            assert (np.asarray(first)[~known(mask)] != np.asarray(second)[~known(mask)]).any()


@pytest.mark.parametrize("stored", ["LA", "I;16"])
def test_what_the_model_does_not_know_is_kept(pipeline, stored):
    photo = noise(stored)
    made = pipeline("L").inpaint(photo, HARD)
    assert made.mode == stored
    np.testing.assert_array_equal(np.asarray(made)[known(HARD)], np.asarray(photo)[known(HARD)])


@pytest.mark.parametrize("solver", ["ddim", "ancestral", "dpm++-2m"])
def test_repaint_goes_to_and_fro_and_keeps_what_is_known(pipeline, solver):
    photo, asked = noise("L"), []
    how = {"solver": solver, "grid": "trailing", "steps": 6, "repaint": "2x3"}
    made = pipeline("L").inpaint(photo, HARD, progress=lambda done, of: asked.append((done, of)), **how)
    np.testing.assert_array_equal(np.asarray(made)[known(HARD)], np.asarray(photo)[known(HARD)])
    # from places 1 and 3 of 6 the grid rises by 2 steps, twice each
    assert asked[-1] == (6 + 2 * 2 * 2, 6 + 2 * 2 * 2)
    plain = pipeline("L").inpaint(photo, HARD, solver=solver, grid="trailing", steps=6)
    assert made.tobytes() != plain.tobytes()


def test_a_new_picture_depends_on_its_number_and_not_on_its_company(pipeline):
    photos = [noise("RGB", seed=seed) for seed in range(3)]
    together = pipeline("RGB").inpaint(photos, HARD, n=2, solver="ancestral", seed=4)
    assert len(together) == 6
    parts = pipeline("RGB").inpaint(photos, HARD, n=2, solver="ancestral", seed=4, batch=1)
    assert [image.tobytes() for image in together] == [image.tobytes() for image in parts]
    alone = pipeline("RGB").inpaint(photos[0], HARD, n=2, solver="ancestral", seed=4)
    assert [image.tobytes() for image in alone] == [image.tobytes() for image in together[:2]]


def test_the_label_guides(pipeline):
    photo = noise("RGB")
    images = pipeline("RGB").inpaint([photo, photo], HARD, label=["circle", "star"], seed=1)
    other = pipeline("RGB").inpaint([photo, photo], HARD, label="circle", seed=1)
    assert images[0].tobytes() == other[0].tobytes()
    assert images[1].tobytes() != other[1].tobytes()


def test_pictures_of_several_sizes_and_larger_than_trained(pipeline):
    photos = [noise("L", (8, 8)), noise("L", (13, 9)), noise("L", (8, 8))]
    masks = [
        Image.fromarray((255 * (np.random.default_rng(9).random(photo.size[::-1]) < 0.4)).astype(np.uint8))
        for photo in photos
    ]
    for photo, mask, made in zip(photos, masks, pipeline("L").inpaint(photos, masks), strict=True):
        assert made.size == photo.size
        np.testing.assert_array_equal(np.asarray(made)[known(mask)], np.asarray(photo)[known(mask)])


def test_one_picture_of_one_and_what_is_written_in_it(pipeline, tmp_path):
    noise("L").save(tmp_path / "photo.png")
    HARD.save(tmp_path / "mask.png")
    made = pipeline("L").inpaint(tmp_path / "photo.png", tmp_path / "mask.png", label="star", seed=3, steps=2)
    assert isinstance(made, Image.Image)
    assert isinstance(pipeline("L").inpaint([noise("L")], HARD), list)
    record = Provenance.model_validate_json(made.info[KEY])
    assert (record.seed, record.index, record.label, record.sampling.steps) == (3, 0, "star", 2)
    assert record.work is not None
    assert record.work.given == ((str(tmp_path / "photo.png"), image_hash(noise("L"))),)
    assert record.work.mask == image_hash(Image.fromarray(~known(HARD)))
    typed = (
        r"ddpm inpaint shapes .*photo\.png --mask .*mask\.png --method mmps --n 1 --label star --seed 3 "
        "--solver unipc-2 "
    )
    with pytest.raises(InputError, match=typed):
        pipeline("L").again(record)


def works(images: list[Image.Image]) -> list[Work]:
    found = [Provenance.model_validate_json(image.info[KEY]).work for image in images]
    return [work for work in found if work is not None]


def test_each_picture_names_its_own_mask_and_itself_before_it_was_fitted(pipeline, tmp_path):
    for name, image in (("hard", HARD), ("grey", GREY)):
        image.save(tmp_path / f"{name}.png")
    masks = [tmp_path / "hard.png", tmp_path / "grey.png"]
    photos = [noise("RGB", seed=1), noise("RGB", seed=2)]
    first, second = works(pipeline("L").inpaint(photos, masks, fit="crop"))
    assert [work.options["mask"] for work in (first, second)] == [str(mask) for mask in masks]
    assert [work.options["fit"] for work in (first, second)] == ["crop", "crop"]
    assert [hashed for _, hashed in (*first.given, *second.given)] == [image_hash(photo) for photo in photos]
    assert first.mask != second.mask
    # from numbers alone: the second picture's is the second of its own
    assert [work.options["n"] for work in (first, second)] == [1, 2]


def test_a_mask_of_the_pictures_size_goes_with_it_to_the_runs(pipeline):
    """What is under it has no part in the result."""
    photo, other, white = np.array(noise("RGB", (32, 32))), noise("RGB", (32, 32), seed=1), np.zeros((32, 32), bool)
    white[20:26, 4:9] = True
    mask, first = Image.fromarray(white), Image.fromarray(photo)
    photo[white] = np.asarray(other)[white]
    made, same = (pipeline("L").inpaint(one, mask, fit="crop") for one in (first, Image.fromarray(photo)))
    assert made.size == (8, 8)
    assert made.tobytes() == same.tobytes()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"repaint": "ten"}, r"repaint 'ten' is not JUMPxTIMES.*10x10"),
        ({"repaint": "0x3"}, "repaint '0x3'"),
        ({"repaint": "3x2"}, "repaint 3x2 .*between 1 and 2"),
        ({"method": "best"}, "method 'best'.*mmps or ddnm"),
        ({"method": "ddnm", "repaint": "1x2"}, "method ddnm .*repaint 1x2"),
        ({"n": 0}, "n is 0.*at least 1"),
        ({"label": "cat"}, "unknown label 'cat'"),
        ({"mask": [HARD, HARD]}, "2 masks for 1 picture"),
        ({"strenght": 1}, "unknown key 'strenght'"),
        ({"size": (16, 16)}, "size has no effect here"),
        ({"batch": 0}, "batch is 0"),
        ({"label": "star", "negative": "star", "guidance": 2.0}, "negative .star."),
    ],
)
def test_what_cannot_be_used(pipeline, asked, said):
    with pytest.raises(InputError, match=said):
        pipeline("L").inpaint(noise("L"), **{"mask": HARD, **asked})


def test_no_picture(pipeline):
    with refuses("missing"):
        pipeline("L").inpaint([], HARD)
