"""What benchmarks/planted_copies.py plants, and what kill_evaluate.py calls equal."""

import json

import numpy as np
import pytest

from ddpm.data.dataset import Dataset


@pytest.fixture
def images():
    """Smooth random pictures, (60, 16, 16, C) by the number of channels."""

    def make(channels, seed=0):
        coarse = np.random.default_rng(seed).integers(0, 230, (60, 4, 4, channels), np.uint8)
        return coarse.repeat(4, 1).repeat(4, 2)

    return make


@pytest.mark.parametrize("channels", [1, 3])
def test_copies_are_changed_as_they_are_called(images, channels):
    from planted_copies import KINDS

    x = images(channels)
    copies = {name: change(x) for name, change in KINDS.items()}
    assert all(y.shape == x.shape and y.dtype == np.uint8 for y in copies.values())
    np.testing.assert_array_equal(copies.pop("exact"), x)
    np.testing.assert_array_equal(copies.pop("mirrored")[:, :, 0], x[:, :, -1])
    np.testing.assert_array_equal(copies["shifted by 1/32"][:, :, 5], x[:, :, 4])
    np.testing.assert_array_equal(copies["10 % brighter"], np.round(x * 1.1))
    errors = {name: np.abs(y.astype(float) - x).mean() for name, y in copies.items()}
    assert 0 < errors["blurred, radius 0.5"] < errors["blurred, radius 0.7"] < errors["blurred, radius 1.0"]
    assert 0 < errors["JPEG, quality 75"] < 20
    assert errors["noise, sigma 8"] == pytest.approx(8 * (2 / np.pi) ** 0.5, rel=0.1)


def test_the_planted_are_as_many_as_said(images):
    from planted_copies import KINDS, distances, planted, recall

    from ddpm.metrics.features.extract import extract
    from ddpm.metrics.memorisation import THRESHOLD, Thumbnail

    seen, held = Dataset(images(3)), Dataset(images(3, seed=1))
    generated, many = planted(seen, held, 60, np.random.default_rng(0))
    assert (len(generated), many) == (60, 3)
    others = {image.tobytes() for image in held.images}
    assert sum(image.tobytes() not in others for image in generated) == many
    training = extract(Thumbnail(), seen)
    _, distance = distances(Dataset(generated), training)
    assert (distance < THRESHOLD).sum() == many
    found = recall(seen.images[:20], training)
    assert found.keys() == KINDS.keys()
    for name in ("exact", "mirrored"):
        assert found[name].max() < 1e-4


def test_halves_share_no_image(images):
    from planted_copies import halves

    seen, held = halves(Dataset(images(1)), np.random.default_rng(0))
    assert (len(seen), len(held)) == (48, 12)
    assert not {x.tobytes() for x in seen.images} & {x.tobytes() for x in held.images}


def test_evaluations_are_equal_but_for_the_place_of_the_run(tmp_path):
    from kill_evaluate import contents, different

    def evaluation(name, value, pixels):
        home = tmp_path / name
        for part in ("drawn", "evaluations"):
            (home / part).mkdir(parents=True)
        (home / "drawn" / "000000.npy").write_bytes(pixels)
        (home / "evaluations" / "score.json").write_text(
            json.dumps({"kid": value, "samples": {"source": name, "hash": "1"}})
        )
        return contents(tmp_path / name)

    first = evaluation("first", 0.5, b"pixels")
    assert not different(evaluation("same", 0.5, b"pixels"), first)
    assert different(evaluation("other score", 0.5000001, b"pixels"), first) == {"evaluations/score.json"}
    assert different(evaluation("other samples", 0.5, b"Pixels"), first) == {"drawn/000000.npy"}
    (tmp_path / "same" / "evaluations" / ".sheet.png.part").touch()
    assert different(contents(tmp_path / "same"), first) == {"evaluations/.sheet.png.part"}
