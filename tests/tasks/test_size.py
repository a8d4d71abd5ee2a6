"""Images of another size than those of training."""

import json

import numpy as np
import pytest

from ddpm.records.provenance import KEY, Provenance
from ddpm.system.errors import InputError
from refusal import refuses

from .conftest import noise


def test_the_runs_own_size_changes_nothing(pipeline):
    pipe = pipeline("RGB")
    plain, sized = pipe.sample(1, seed=2)[0], pipe.sample(1, seed=2, size=(8, 8))[0]
    assert sized.tobytes() == plain.tobytes()
    assert json.loads(sized.info[KEY])["sampling"]["area"] is None


@pytest.mark.parametrize("kind", ["unet", "dit"])
@pytest.mark.parametrize("whole", [None, True])
def test_larger_images_in_windows_and_at_once(pipeline, whole, kind):
    pipe = pipeline("RGB", kind=kind)
    made = pipe.sample(2, seed=2, size=(12, 10), whole=whole, label="star", guidance=2.0)
    assert [image.size for image in made] == [(10, 12)] * 2
    assert made[0].tobytes() != made[1].tobytes()
    # the same alone, and drawn again from what is written in it
    alone = pipe.sample(1, seed=2, size=(12, 10), whole=whole, label="star", guidance=2.0)[0]
    assert alone.tobytes() == made[0].tobytes()
    assert pipe.again(Provenance.model_validate_json(made[1].info[KEY])).tobytes() == made[1].tobytes()


def test_both_ways_differ(pipeline):
    windows, whole = (pipeline("L").sample(1, size=(8, 16), whole=whole)[0] for whole in (None, True))
    assert (np.asarray(windows) != np.asarray(whole)).any()


def test_given_pictures_at_once(pipeline):
    """Those larger than trained; among them others too, which are of the network's own size."""
    photos = [noise("L", size) for size in ((8, 8), (8, 12))]
    windows, whole = (pipeline("L").edit(photos, 0.6, whole=whole) for whole in (None, True))
    assert windows[0].tobytes() == whole[0].tobytes()
    assert windows[1].tobytes() != whole[1].tobytes()
    commands = [Provenance.model_validate_json(image.info[KEY]).command() for image in (*windows, *whole)]
    assert ["--whole" in command for command in commands] == [False, False, False, True]


@pytest.mark.parametrize("strength", [0, 0.6, 1])
def test_at_once_as_ever_is_refused(pipeline, strength):
    with refuses("conflict", "whole"):
        pipeline("L").edit(noise("L"), strength, whole=True)


def test_the_network_at_once_may_be_asked_for_less(pipeline):
    assert pipeline("L").sample(1, size=(4, 6), whole=True)[0].size == (6, 4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size": (6, 8)}, "size 6x8 .*8x8"),
        ({"size": (8, 9), "whole": True}, "size 8x9 .*8x8"),
        ({"whole": True}, "whole"),
        ({"size": (0, 8)}, "size must be at least 1, not 0"),
    ],
)
def test_sizes_that_cannot_be_drawn(pipeline, asked, said):
    with pytest.raises(InputError, match=said):
        pipeline("L").sample(1, **asked)
