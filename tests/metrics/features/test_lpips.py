"""LPIPS beside its equation, and the files that it accepts."""

import pytest
import torch
from safetensors.torch import save_file

from cases import cases
from ddpm.metrics.features.lpips import LPIPS
from random_lpips import random_weights, reference
from refusal import refuses

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def lpips(weights: dict[str, torch.Tensor]) -> LPIPS:
    return LPIPS(weights, CPU)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


@cases("size", [(16, 16), (19, 34)])
def test_it_is_the_sum_over_layers_in_float64(size, weights, lpips):
    x, y = images(2, 3, *size), images(2, 3, *size, seed=1)
    torch.testing.assert_close(lpips(x, y).double(), reference(weights, x, y), rtol=1e-4, atol=0)
    near = x + 1e-3 * y
    torch.testing.assert_close(lpips(x, near).double(), reference(weights, x, near), rtol=1e-2, atol=0)


def test_it_is_a_distance(lpips):
    x, y = images(2, 3, 16, 16), images(2, 3, 16, 16, seed=1)
    assert not lpips(x, x).any()
    assert (lpips(x, y) > 0).all()
    assert torch.equal(lpips(x, y), lpips(y, x))


def test_its_gradient_is_that_of_the_equation(weights, lpips):
    x, y = images(1, 3, 16, 16), images(1, 3, 16, 16, seed=1).requires_grad_()
    (ours,) = torch.autograd.grad(lpips(x, y).sum(), y)
    (theirs,) = torch.autograd.grad(reference(weights, x, y).sum(), y)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_where_no_feature_is_active_gradients_are_finite(weights):
    """The square root of a sum of zeros has none."""
    dead = {name: w - 100 if name.endswith("bias") else w for name, w in weights.items()}
    y = images(1, 3, 16, 16).requires_grad_()
    found = LPIPS(dead, CPU)(images(1, 3, 16, 16, seed=1), y)
    assert not found.any()
    found.sum().backward()
    assert y.grad is not None
    assert not y.grad.any()


def test_other_modes_and_small_images(lpips):
    grey, other = images(2, 1, 16, 16), images(2, 1, 16, 16, seed=1)
    torch.testing.assert_close(lpips(grey, other), lpips(grey.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1)))
    clear = -torch.ones(2, 4, 16, 16)  # premultiplied
    white = torch.ones(2, 3, 16, 16)
    assert not lpips(clear, white).any()
    solid = torch.cat([white, white[:, :1]], 1)
    assert not lpips(solid, white).any()
    x, y = images(2, 3, 6, 9), images(2, 3, 6, 9, seed=1)
    large = [v.repeat_interleave(3, 2).repeat_interleave(3, 3) for v in (x, y)]
    torch.testing.assert_close(lpips(x, y), lpips(*large))


def test_a_file_has_one_hash_however_it_is_written(tmp_path, weights, lpips):
    torch.save(weights, tmp_path / "whole.pth")
    once = {name: w for name, w in weights.items() if not name.startswith(("lins.", "scaling_layer."))}
    save_file(once, tmp_path / "once.safetensors")
    hashes = {LPIPS.load(str(tmp_path / name), CPU).hash for name in ("whole.pth", "once.safetensors")}
    assert hashes == {lpips.hash}
    assert LPIPS(weights | {"net.slice1.0.bias": torch.zeros(64)}, CPU).hash != lpips.hash


HEAD = "lin2.model.1.weight"
SPOILED = {
    "no VGG": (lambda w: {k: v for k, v in w.items() if k.startswith("lin")}, "net.slice1.0.bias and 25 more"),
    "no head": (lambda w: {k: v for k, v in w.items() if k != HEAD}, HEAD),
    "left over": (lambda w: w | {"lin5.model.1.weight": w[HEAD]}, "lin5.model.1.weight"),
    "a shape": (lambda w: w | {"net.slice2.5.bias": torch.zeros(64)}, "net.slice2.5.bias"),
    "negative": (lambda w: w | {HEAD: -w[HEAD], "lins.2.model.1.weight": -w[HEAD]}, HEAD),
    "not finite": (lambda w: w | {"net.slice2.5.bias": torch.full((128,), torch.nan)}, "net.slice2.5.bias"),
    "two heads": (lambda w: w | {"lins.2.model.1.weight": 2 * w[HEAD]}, "lins.2.model.1.weight"),
    "a constant": (lambda w: w | {"scaling_layer.scale": torch.ones(1, 3, 1, 1)}, "scaling_layer.scale"),
}


@cases("how", sorted(SPOILED))
def test_what_does_not_fit_is_named(how, weights):
    spoil, named = SPOILED[how]
    with refuses("incompatible", "x.pth", named):
        LPIPS(spoil(weights), CPU, "x.pth")
