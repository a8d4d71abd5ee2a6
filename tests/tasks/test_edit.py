import numpy as np
import pytest
from PIL import Image
from tests.laws.every import SOLVERS

from ddpm.core import discrete
from ddpm.sampling.grid import Listed, trailing
from ddpm.system.errors import InputError
from ddpm.tasks.edit import below
from refusal import refuses

from .conftest import noise


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_strength_0_is_the_picture_and_1_a_new_sample(pipeline, mode):
    photos = [noise(mode, seed=seed) for seed in range(2)]
    same = pipeline(mode).edit(photos, 0, n=2)
    assert [image.tobytes() for image in same] == [photos[i].tobytes() for i in (0, 0, 1, 1)]
    new = pipeline(mode).edit(photos, 1, n=2, seed=6)
    assert [image.tobytes() for image in new] == [image.tobytes() for image in pipeline(mode).sample(4, seed=6)]


def test_alpha_and_depth_are_given_back_at_strength_0(pipeline):
    for mode in ("LA", "I;16"):
        assert pipeline("L").edit(noise(mode), 0).tobytes() == noise(mode).tobytes()


@pytest.mark.parametrize("strength", [0.5, 1])
@pytest.mark.parametrize(("stored", "learned"), [("LA", "L"), ("RGBA", "RGB")])
def test_an_alpha_that_the_run_does_not_know_stays(pipeline, stored, learned, strength):
    photo = noise(stored)
    made = pipeline(learned).edit(photo, strength)
    assert made.mode == stored
    np.testing.assert_array_equal(np.asarray(made)[..., -1], np.asarray(photo)[..., -1])
    drawn = pipeline(learned).edit(on_white(photo, learned), strength)
    # seen on white it is what was drawn, if that is no darker than black of this alpha
    darkest = 255 - np.asarray(photo)[..., -1].astype(int).reshape(8, 8, 1)
    seen = np.atleast_3d(np.asarray(on_white(made, learned))).astype(int)
    np.testing.assert_allclose(seen, np.maximum(np.atleast_3d(np.asarray(drawn)), darkest), atol=1)


def on_white(image, mode):
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert(mode)


def test_a_depth_of_16_bits_stays(pipeline):
    bright = np.asarray(noise("L"))
    made = pipeline("L").edit(Image.fromarray(bright.astype(np.uint16) * 257), 0.5)
    assert made.mode == "I;16"
    same = pipeline("L").edit(Image.fromarray(bright), 0.5)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(same).astype(int) * 257)


def test_a_picture_brought_to_the_runs_mode_comes_back_in_it(pipeline):
    assert pipeline("RGB").edit(noise("RGBA"), 0.5, fit="crop").mode == "RGB"


def test_the_levels_are_those_of_the_grid_below_the_strength():
    schedule = discrete.cosine(100)
    levels = trailing(schedule, 10)
    assert [level.t for level in below(0.45, levels, schedule)] == [44, 39, 29, 19, 9, -1]  # the network is told t - 1
    assert [level.t for level in below(0.4, levels, schedule)] == [39, 29, 19, 9, -1]
    assert below(1, levels, schedule) == levels
    first, clean = below(0.001, levels, schedule)  # no noise is less than that of the first tick
    assert (first, clean.clean) == (schedule.level(1), True)


@pytest.mark.parametrize("strength", [0.1 * 3, 0.3 - 1e-12, 0.3 + 1e-9, 0.303])
def test_a_level_of_the_grid_is_not_visited_twice(strength):
    schedule = discrete.cosine(100)
    first, *rest = below(strength, trailing(schedule, 10), schedule)
    assert first == schedule.level(strength * 100)
    assert [level.t for level in rest] == [19, 9, -1]


def test_levels_above_a_list_of_places_and_below_it():
    schedule = discrete.cosine(100)
    levels = Listed((70.0, 40.0))(schedule, 2)
    assert [level.t for level in below(0.9, levels, schedule)] == [89, 69, 39, -1]
    assert [level.t for level in below(0.71, levels, schedule)] == [70, 39, -1]
    assert [level.t for level in below(0.02, levels, schedule)] == [1, -1]


@pytest.mark.parametrize("solver", [name for name in SOLVERS if " " not in name])
def test_pictures_change_little_with_the_strength(pipe, solver):
    """At the timestep of a level of the grid, beside it by rounding, and beside it by more."""
    photo = pipe.sample(1, seed=9, steps=5)[0]
    asked = {"solver": solver, "grid": "trailing", "steps": 10}
    at, *beside = (np.asarray(pipe.edit(photo, s, **asked), int) for s in (0.3, 0.1 * 3, 0.3001))
    assert np.abs(at - np.asarray(photo, int)).mean() > 0
    for made in beside:
        assert np.abs(made - at).max() <= 2


def test_the_stronger_the_farther(pipe):
    photos = pipe.sample(8, seed=9)
    given = np.stack([np.asarray(photo, float) for photo in photos])
    far = []
    for strength in (0.02, 0.2, 0.5, 0.9):
        made = np.stack([np.asarray(image, float) for image in pipe.edit(photos, strength, steps=20, clip=False)])
        far.append(float(np.sqrt(np.mean((made - given) ** 2))))
    assert far == sorted(far)
    assert far[-1] > 3 * far[0]


def test_the_steps_below_the_strength(pipeline):
    """Half of even ones; more of the power grid's, which are the shorter the nearer the image."""
    for grid, steps in (("trailing", 5), ("power", 7)):
        asked = []
        how = {"steps": 10, "grid": grid, "progress": lambda done, of, asked=asked: asked.append((done, of))}
        pipeline("L").edit(noise("L"), 0.5, **how)
        assert asked[-1] == (steps, steps)


@pytest.mark.parametrize("strength", [0, 0.5])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n": 0}, "n is 0.*at least 1"),
        ({"label": "oval"}, "unknown label 'oval'"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"stepps": 3}, "unknown key 'stepps'"),
    ],
    ids=["n", "label", "steps", "unknown key"],
)
def test_refusals_do_not_depend_on_the_strength(pipeline, strength, asked, said):
    with pytest.raises(InputError, match=said):
        pipeline("L").edit(noise("L"), strength, **asked)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_strengths_beyond(pipeline, strength):
    with refuses("invalid"):
        pipeline("L").edit(noise("L"), strength)
