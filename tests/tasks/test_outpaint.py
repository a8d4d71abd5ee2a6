import numpy as np
import pytest

from ddpm.records.provenance import KEY, Provenance, image_hash
from ddpm.system.errors import InputError

from .conftest import noise


@pytest.mark.parametrize(
    ("stored", "learned"), [("L", "L"), ("I;16", "L"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("RGBA", "RGB")]
)
def test_the_canvas_grows_and_the_picture_stays(pipeline, stored, learned):
    photo = noise(stored)
    first, second = pipeline(learned).outpaint(photo, left=3, right=4, top=2, bottom=1, n=2)
    for made in (first, second):
        assert (made.mode, made.size) == (stored, (15, 11))
        np.testing.assert_array_equal(np.asarray(made)[2:10, 3:11], np.asarray(photo))
    assert (np.asarray(first)[:, 11:] != np.asarray(second)[:, 11:]).any()


def test_what_is_added_is_drawn(pipeline):
    """Nowhere is the empty canvas left: new pixels vary."""
    made = np.asarray(pipeline("L").outpaint(noise("L"), right=8, bottom=8)).astype(float)
    assert made[:8, 8:].std() > 1
    assert made[8:, :].std() > 1


def test_what_is_written_is_the_hash_of_the_picture_and_not_of_the_canvas(pipeline):
    photo = noise("L")
    record = Provenance.model_validate_json(pipeline("L").outpaint(photo, right=2).info[KEY])
    assert record.work is not None
    assert record.work.given == (("the image", image_hash(photo)),)


@pytest.mark.parametrize(
    ("margins", "said"),
    [
        ({}, "nothing to add.*--left"),
        ({"left": -1}, "left -1 .*at least 0"),
    ],
)
def test_margins_of_no_use(pipeline, margins, said):
    with pytest.raises(InputError, match=said):
        pipeline("L").outpaint(noise("L"), **margins)
