"""The linear classifier against exact rates, refitting, and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeClassifier, RidgeCV

from ddpm.metrics import accuracy
from ddpm.metrics.accuracy import STRENGTHS, estimate, fit, predict


def classes(n: int, d: int, k: int, apart: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit normal features about k points at random places, whose distances are about ``apart``; and labels."""
    generator = torch.Generator().manual_seed(seed)
    places = apart / (2 * d) ** 0.5 * torch.randn(k, d, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(k, (n,), generator=generator)
    return torch.randn(n, d, generator=generator) + places[labels], labels


def standardised(x: torch.Tensor) -> np.ndarray:
    return ((x.double() - x.double().mean(0)) / x.double().std(0, correction=0)).numpy()


def ridges(x: torch.Tensor) -> np.ndarray:
    """n D is the trace of the scatter of standardised features, over min(n, D) eigenvalues."""
    return STRENGTHS.numpy() * max(x.shape)


@pytest.mark.parametrize(("n", "d"), [(400, 20), (89, 512)])
def test_classes_that_are_apart(n, d):
    x, labels = classes(n, d, 4, apart=40)
    linear = fit(x, labels, 4)
    fresh, asked = classes(n, d, 4, apart=40, seed=1)
    assert linear.real == 1
    assert predict(linear, fresh).equal(asked)
    assert estimate(linear, fresh, asked) == (1.0, dict.fromkeys(range(4), 1.0))


def test_the_best_possible_rate():
    """Two unit Gaussians at distance 2 are told apart at the rate Phi(1), within 4 standard errors of 10,000."""
    n, labels = 10_000, torch.arange(10_000) % 2
    x, fresh = (torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for values in (x, fresh):
        values[:, 0] += 2 * labels
    rate = float(torch.special.ndtr(torch.tensor(1.0)))
    error = (rate * (1 - rate) / n) ** 0.5
    linear = fit(x, labels, 2)
    assert abs(linear.real - rate) < 4 * error
    assert abs(estimate(linear, fresh, labels)[0] - rate) < 4 * error


def test_labels_that_say_nothing_are_read_at_chance():
    """1 in 4, within 4 standard errors, with more features than images, too."""
    for d in [10, 600]:
        x, _ = classes(300, d, 4, apart=5)
        labels = torch.arange(300) % 4
        assert abs(fit(x, labels, 4).real - 0.25) < 4 * (0.25 * 0.75 / 300) ** 0.5


@pytest.mark.parametrize(("n", "d"), [(40, 5), (25, 60)])
def test_leaving_one_out_is_fitting_again(n, d):
    """Ridge, error and accuracy are those of n fits on n - 1 images, for each strength; the features' scale stays."""
    x, labels = classes(n, d, 3, apart=3)
    z, y = standardised(x), np.eye(3)[labels]
    errors, right = [], []
    for ridge in ridges(x):
        left = [np.delete(np.arange(n), i) for i in range(n)]
        out = np.stack([Ridge(ridge).fit(z[rest], y[rest]).predict(z[i : i + 1])[0] for i, rest in enumerate(left)])
        errors.append(((out - y) ** 2).sum())
        right.append((out.argmax(1) == labels.numpy()).mean())
    best = int(np.argmin(errors))
    linear = fit(x, labels, 3)
    assert linear.ridge == pytest.approx(ridges(x)[best], rel=1e-9)
    assert linear.real == pytest.approx(right[best])
    assert 0.3 < linear.real < 1


@pytest.mark.parametrize(("n", "d", "chunk"), [(200, 12, 4096), (200, 12, 37), (60, 100, 4096)])
def test_agrees_with_scikit_learn(n, d, chunk, monkeypatch):
    monkeypatch.setattr(accuracy, "CHUNK", chunk)
    x, labels = classes(n, d, 5, apart=3)
    fresh, _ = classes(500, d, 5, apart=3, seed=1)
    x, fresh = 7 * x + 100, 7 * fresh + 100
    linear = fit(x, labels, 5)
    assert linear.ridge == pytest.approx(RidgeCV(ridges(x)).fit(standardised(x), np.eye(5)[labels]).alpha_, rel=1e-6)
    other = RidgeClassifier(linear.ridge).fit(standardised(x), labels.numpy())
    moved = (fresh.double() - x.double().mean(0)) / x.double().std(0, correction=0)
    # their targets are -1 and 1, ours 0 and 1
    ours = 2 * (fresh.double() @ linear.weight + linear.bias) - 1
    torch.testing.assert_close(ours, torch.from_numpy(other.decision_function(moved.numpy())), rtol=1e-8, atol=1e-8)
    assert predict(linear, fresh).tolist() == other.predict(moved.numpy()).tolist()


def test_classes_that_no_real_image_has():
    """They are never read, and samples of them are left out."""
    x, labels = classes(300, 8, 3, apart=20)
    linear = fit(x, 2 * labels, 6)
    assert linear.seen.tolist() == [True, False, True, False, True, False]
    assert not (predict(linear, 100 * torch.randn(1000, 8)) % 2).any()
    fresh, asked = classes(90, 8, 3, apart=20, seed=1)
    asked = 2 * asked
    asked[:10] = 5
    assert estimate(linear, fresh, asked) == (1.0, {0: 1.0, 2: 1.0, 4: 1.0})
    with pytest.raises(ValueError, match="requested classes"):
        estimate(linear, fresh[:10], asked[:10])


def test_each_class_has_its_rate():
    x, labels = classes(300, 8, 3, apart=30)
    asked = labels.clone()
    asked[labels == 2] = torch.where(torch.arange(int((labels == 2).sum())) % 2 == 0, 2, 1)
    wrong = int((asked != labels).sum())
    value, by_class = estimate(fit(x, labels, 3), x, asked)
    assert value == pytest.approx(1 - wrong / 300)
    ones = int((labels == 1).sum())
    assert by_class == pytest.approx({0: 1, 1: ones / (ones + wrong), 2: 1})


def test_features_that_are_constant_say_nothing():
    x, labels = classes(100, 6, 3, apart=4)
    wider = torch.cat([x, torch.full((100, 2), 0.1), torch.zeros(100, 1)], 1)
    a, b = fit(x, labels, 3), fit(wider, labels, 3)
    assert a.real == b.real
    torch.testing.assert_close(b.weight[:6], a.weight)
    assert (b.weight[6:] == 0).all()


def test_refuses_what_tells_nothing_apart():
    with pytest.raises(ValueError, match="at least 2 classes"):
        fit(torch.randn(5, 2), torch.ones(5, dtype=torch.int64), 3)
    with pytest.raises(ValueError, match="constant"):
        fit(torch.full((5, 2), 0.3), torch.arange(5) % 2, 2)
