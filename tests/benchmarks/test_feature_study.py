"""What feature_ranking.py and embedded_features.py measure by: damage that grows, ranks, a network folded."""

import numpy as np
import pytest
import torch
from torch import nn

from ddpm.data.dataset import Dataset
from ddpm.metrics import frechet
from ddpm.metrics.features.embedded import Embedded


@pytest.fixture
def images():
    """Squares of random colour on random ground, (40, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    out = np.broadcast_to(rng.integers(0, 256, (40, 1, 1, 3)), (40, 32, 32, 3)).astype(np.uint8)
    for image in out:
        a, b = rng.integers(0, 16, 2)
        image[a : a + 16, b : b + 16] = rng.integers(0, 256, 3)
    return out


def test_each_strength_does_more_than_the_one_before(images):
    from feature_study.degradations import DEGRADATIONS

    for name, way in DEGRADATIONS.items():
        before = images.copy()
        sets = [way(images, strength) for strength in way.strengths]
        assert all(x.shape == images.shape and x.dtype == np.uint8 for x in sets), name
        np.testing.assert_array_equal(images, before, name)  # what it was given is whole
        np.testing.assert_array_equal(way(images, way.strengths[2]), sets[2], name)
        if name == "collapse":
            assert [len(np.unique(x, axis=0)) for x in sets] == [20, 10, 5, 2, 1]
        else:
            errors = [np.square(x.astype(float) - images).mean() for x in sets]
            assert errors == sorted(errors), name
            assert errors[0] > 0, name


def test_degradations_do_what_they_say():
    from feature_study.degradations import blur, colour, contrast, noise, rectangles

    rng, grey = np.random.default_rng(0), np.full((8, 32, 32, 3), 100, np.uint8)
    np.testing.assert_array_equal(colour(grey, 20, rng)[0, 0, 0], [120, 100, 80])
    np.testing.assert_array_equal(contrast(grey, 0.5, rng), 114)
    assert np.std(noise(grey, 8, rng).astype(float)) == pytest.approx(8, rel=0.03)
    np.testing.assert_array_equal((rectangles(grey, 6, rng) == 0).sum((1, 2, 3)), 6 * 6 * 3)
    dot = np.zeros((1, 32, 32, 1), np.uint8)
    dot[0, 16, 16] = 255
    spread = blur(dot, 1.5, rng)[0, :, :, 0] / 255
    squares = (np.arange(32)[:, None] - 16) ** 2
    assert (spread * squares).sum() / spread.sum() == pytest.approx(1.5**2, rel=0.15)  # 8 bits cut off the tails


def test_spearman_is_one_for_what_only_grows():
    from feature_study.ranking import Row

    assert Row(tuple("abcde"), (1, 2, 3, 50, 51)).spearman == pytest.approx(1)
    assert Row(tuple("abcde"), (1, 2, 3, 51, 50)).spearman == pytest.approx(0.9)
    assert Row(tuple("abcde"), (5, 4, 3, 2, 1)).spearman == pytest.approx(-1)


def test_a_strength_of_the_wanted_distance_is_met(images):
    from feature_study.apart import CLOSE, Curve
    from feature_study.kinds import Pixels

    extractor = Pixels()
    real = frechet.fit(extractor(torch.from_numpy(images)))
    curve = Curve("noise", images, extractor, real)
    middle = curve(20.0)
    curve.seen.clear()
    strength = curve.meet(middle)
    assert abs(curve(strength) / middle - 1) < CLOSE
    assert strength == pytest.approx(20, rel=0.01)


def test_draws_are_corrected_for_coming_from_one_set():
    from feature_study.apart import Pair

    small = np.array([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    pair = Pair("noise", (1, 2), (1, 1.1), small, 0.19)
    assert (pair.gap, pair.right) == (10, 1)
    assert pair.sd == pytest.approx(1 / 0.9)
    close = Pair("noise", (1, 2), (1, 1.1), np.array([[1.0, 2.0, 3.0], [1.1, 2.1, 3.1]]), 0.2)
    assert (close.right, close.right_of_same) == (0.5, 1)


def test_random_features_are_not_the_trained_ones_and_always_the_same(images):
    from feature_study.kinds import kind

    x = torch.from_numpy(images)
    random, again, trained = kind("random", (32, 32), None), kind("random", (32, 32), None), Embedded((32, 32))
    torch.testing.assert_close(random(x), again(x), rtol=0, atol=0)
    assert random.hash == again.hash != trained.hash
    assert (random(x) - trained(x)).abs().max() > 1


def test_the_folded_network_says_what_the_trained_one_says(tmp_path, images):
    from embedded_features import Trained, folded, tensor, train
    from feature_study.kinds import of_file
    from safetensors.torch import save_file

    labels = np.arange(40) % 2
    data = Dataset(np.concatenate([images] * 8), np.concatenate([labels] * 8), ("a", "b"))
    net = train(data, epochs=1, limit=2)
    assert isinstance(net, Trained)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 7
    for norm in norms:  # two steps leave them near the identity, where a mistake would not show
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        for x in (norm.bias, norm.running_mean):
            nn.init.normal_(x)
    plain = folded(net.network)
    with torch.no_grad():
        expected = net.network(tensor(images))
        torch.testing.assert_close(plain(tensor(images)), expected, rtol=1e-4, atol=1e-5)
    shipped = Embedded((32, 32))
    shapes = {name: w.shape for name, w in shipped.network.state_dict().items()}
    assert {name: w.shape for name, w in plain.state_dict().items()} == shapes
    save_file({name: w.half().contiguous() for name, w in plain.state_dict().items()}, tmp_path / "own.safetensors")
    own = of_file(tmp_path / "own.safetensors", (32, 32))(torch.from_numpy(images)) / 10
    assert (own - expected).abs().max() / expected.abs().max() < 5e-3  # float16


def test_damage_is_of_three_kinds_on_half_of_a_batch(images):
    from embedded_features import damaged

    worse, target = damaged(images, np.random.default_rng(0))
    assert target.shape == (40, 3)
    changed = (worse != images).any((1, 2, 3))
    assert changed[:18].any()
    assert not changed[18:].any()
    errors = np.sqrt(np.square(worse.astype(float) - images).mean((1, 2, 3)))
    torch.testing.assert_close(target.sum(1).double(), torch.from_numpy(np.log1p(errors) / 3), rtol=1e-5, atol=1e-6)
    for kind in range(3):
        assert (target[kind * 6 : kind * 6 + 6].argmax(1) == kind).all() or not changed[kind * 6 : kind * 6 + 6].any()
