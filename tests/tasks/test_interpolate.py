import numpy as np
import pytest

from ddpm.pipeline import load
from ddpm.records.provenance import KEY, Provenance, image_hash
from ddpm.system.errors import InputError

from .conftest import noise


def pixels(images) -> np.ndarray:
    return np.stack([np.asarray(image, float) for image in images])


def test_the_ends_are_the_pictures_and_the_way_leads_from_one_to_the_other(digits_run):
    pipe = load(digits_run, "cpu")
    first, last = pipe.sample(2, seed=5, label=["1", "8"])
    made = pixels(pipe.interpolate(first, last, n=5, label=["1", "8"]))
    assert len(made) == 5
    ends = pixels([first, last])
    # 30 dB: a root mean square of 255 / 10^1.5
    assert np.sqrt(np.mean((made[[0, -1]] - ends) ** 2)) < 8
    far = [float(np.sqrt(np.mean((image - ends[0]) ** 2))) for image in made]
    assert far == sorted(far)


def test_to_the_same_picture_nothing_changes(pipeline):
    photo = noise("RGB")
    made = pixels(pipeline("RGB").interpolate(photo, photo, n=3, steps=4))
    np.testing.assert_allclose(made[1], made[0], atol=1)


def test_backwards_it_is_the_same_way(pipeline):
    one, other = noise("L", seed=1), noise("L", seed=2)
    there = pixels(pipeline("L").interpolate(one, other, n=4, steps=4))
    back = pixels(pipeline("L").interpolate(other, one, n=4, steps=4))
    np.testing.assert_allclose(there, back[::-1], atol=1)


def test_what_is_written_has_both_pictures_also_of_one_name(pipeline):
    one, other = noise("L", seed=1), noise("L", seed=2)
    record = Provenance.model_validate_json(pipeline("L").interpolate(one, other, n=2, steps=1)[0].info[KEY])
    assert record.work is not None
    assert record.work.given == (("the image", image_hash(one)), ("the image", image_hash(other)))


def test_what_many_windows_fill_is_filled_no_further(pipeline):
    """A network call of 25 windows of two pictures has rows enough."""
    pipe, rows = pipeline("L"), []
    one, other = noise("L", (24, 24), seed=1), noise("L", (24, 24), seed=2)
    hook = pipe.run.engine.model.net.register_forward_pre_hook(lambda net, given: rows.append(len(given[0])))
    try:
        pipe.interpolate(one, other, n=2, label="star", steps=1)
    finally:
        hook.remove()
    assert rows == [2 * 25] * 2  # a step up, and one down


@pytest.mark.parametrize("size", [(8, 8), (8, 12), (24, 24)])
def test_in_windows_too_no_picture_depends_on_its_batch(pipeline, size):
    ends = noise("L", size, seed=1), noise("L", size, seed=2)
    whole, parts = (pipeline("L").interpolate(*ends, n=5, steps=1, batch=batch) for batch in (5, 2))
    assert [image.tobytes() for image in parts] == [image.tobytes() for image in whole]


@pytest.mark.parametrize("label", [None, ["circle", "star"]])
def test_no_picture_depends_on_its_batch(pipeline, label):
    def drawn(batch):
        seen = []
        made = pipeline("RGB").interpolate(
            noise("RGB", seed=1),
            noise("RGB", seed=2),
            n=19,
            label=label,
            steps=2,
            batch=batch,
            progress=lambda *now: seen.append(now),
        )
        return [image.tobytes() for image in made], seen

    (whole, once), (parts, often) = drawn(19), drawn(3)
    assert parts == whole
    assert len(set(whole)) == 19
    assert once == [(i, 4) for i in range(1, 5)]
    assert often == [(i, 16) for i in range(1, 17)]


@pytest.mark.parametrize(
    ("last", "asked", "said"),
    [
        (noise("L"), {"n": 1}, "n is 1.*at least 2"),
        (noise("L"), {"batch": 0}, "batch is 0"),
        (noise("L", (9, 9)), {}, "8 × 8,.* 9 × 9;.*--fit crop"),
        (noise("L"), {"label": ["circle", "star", "star"]}, "3 labels for 2 images"),
        (noise("RGB"), {}, "the image has the mode RGB, .* L; "),
    ],
)
def test_what_cannot_be_joined(pipeline, last, asked, said):
    with pytest.raises(InputError, match=said):
        pipeline("L").interpolate(noise("L"), last, **asked)
