"""Real images in the geometry of the samples, and those of a run as it saw them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.config.run import RunConfig
from ddpm.data.order import split
from ddpm.evaluation.reference import real, training
from ddpm.images.geometry import Geometry
from ddpm.system.errors import InputError
from refusal import refuses


def test_real_images_as_they_are(folder: Callable[..., Path]) -> None:
    photos = folder(12, classes=("a", "b"))
    found = real(str(photos), Geometry((8, 8), "RGB"))
    assert (len(found.data), found.data.classes, found.source) == (12, ("a", "b"), str(photos))
    assert found.notes == ()
    with Image.open(photos / found.data.names[3]) as image:
        assert np.array_equal(found.data.read(np.array([3]))[0], np.asarray(image))


def test_what_was_done_to_them_is_said_and_changes_the_hash(folder: Callable[..., Path]) -> None:
    photos = folder(12, size=(8, 10))
    Image.new("L", (10, 8)).save(photos / "grey.png")
    plain = real(str(photos), Geometry((8, 10), "RGB"))
    small = real(str(photos), Geometry((4, 4), "RGB", "pad"))
    grey = real(str(photos), Geometry((8, 10), "L"))
    assert plain.notes == (f"1 images of {photos} were converted to RGB",)
    assert small.notes[0] == f"13 images of {photos} were resized to 4 × 4 (pad)"
    assert grey.notes == (f"12 images of {photos} were converted to L",)
    assert len({plain.data.fingerprint, small.data.fingerprint, grey.data.fingerprint}) == 3


def test_too_few(folder: Callable[..., Path]) -> None:
    with refuses("invalid", "10"):
        real(str(folder(9)), Geometry((8, 8), "RGB"))


def test_bad_images(folder: Callable[..., Path]) -> None:
    photos = folder(12)
    (photos / "bad.png").write_text("text")
    with refuses("unreadable", "bad.png"):
        real(str(photos), Geometry((8, 8), "RGB"))
    assert len(real(str(photos), Geometry((8, 8), "RGB"), skip_bad=True).data) == 12


@pytest.fixture
def config(digits_run: Path) -> RunConfig:
    return RunConfig.read(digits_run / "config.json")


def test_a_runs_images_are_those_that_it_was_trained_on(config: RunConfig) -> None:
    seen, held_out = training(config)
    assert (len(seen), len(held_out)) == (config.data.images, config.data.held_out) == (1708, 89)
    kept, held = split(1797, config.training.seed)
    assert seen.rows is not None
    assert held_out.rows is not None
    assert list(seen.rows) == list(kept)
    assert held_out.rows.tolist() == held.tolist()


def test_images_that_changed_or_are_gone(config: RunConfig) -> None:
    tree = json.loads(config.to_json())
    for change, said in (
        ({"fingerprint": "x"}, "^the images of digits have changed"),
        ({"source": "gone"}, "^gone does not exist"),
        ({"size": [16, 16]}, "have changed"),
    ):
        with pytest.raises(InputError, match=said):
            training(RunConfig.parse(tree | {"data": tree["data"] | change}))
