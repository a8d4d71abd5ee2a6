"""The features that come with the package."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from ddpm.metrics.features import embedded
from ddpm.metrics.features.embedded import WEIGHTS, Embedded, EmbeddedNetwork


def random(n: int, size: tuple[int, int], channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, *size, channels), np.uint8))


@pytest.mark.parametrize(
    ("size", "dim", "resize"),
    [
        ((8, 8), 416, "antialiased bicubic to 32 × 32"),
        ((32, 32), 416, "antialiased bicubic to 32 × 32"),
        ((32, 7), 416, "antialiased bicubic to 32 × 32"),
        ((33, 20), 832, "antialiased bicubic to 32 × 32, and as they are"),
        ((128, 128), 832, "antialiased bicubic to 32 × 32, and as they are"),
        ((256, 128), 832, "antialiased bicubic to 32 × 32, and to 128 × 64"),
        ((50, 2), 832, "antialiased bicubic to 32 × 32, and to 50 × 8"),
    ],
)
def test_images_above_32_are_looked_at_twice(size, dim, resize):
    network = Embedded(size)
    assert (network.dim, network.resize) == (dim, resize)
    found = network(random(2, size))
    assert found.shape == (2, dim)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize(("size", "fine"), [((40, 64), (40, 64)), ((256, 96), (128, 48)), ((8, 8), None)])
def test_it_is_the_network_on_the_prepared_picture(size, fine):
    """In 64-bit floats, without the layout that is fast."""
    network = EmbeddedNetwork().double()
    network.load_state_dict({name: w.double() for name, w in load_file(WEIGHTS).items()})
    images = random(3, size)
    x = images.movedim(-1, 1).double()
    looks = [
        F.interpolate(x, to, mode="bicubic", antialias=True).clamp(0, 255) if to != size else x
        for to in ((32, 32), fine)
        if to is not None
    ]
    with torch.no_grad():
        expected = torch.cat([network((look - 127.5) / 64) for look in looks], 1) * 10
    found = Embedded(size)(images).double()
    assert (found - expected).abs().max() < 1e-4 * expected.square().mean().sqrt()


def test_features_are_of_a_size_that_the_kernel_distance_needs():
    mean_square = Embedded((32, 32))(random(64, (32, 32))).square().mean()
    assert 0.3 < float(mean_square) < 10


def test_an_image_hardly_depends_on_its_batch():
    """By rounding: 1e-5 of the features' size. `extract` gives it always as many, and then the bits are the same."""
    for size, n in (((32, 32), 256), ((48, 40), 64)):
        images, network = random(n, size), Embedded(size)
        whole = network(images)
        for batch in (1, 3, 64):
            parts = torch.cat([network(part) for part in images[:64].split(batch)])
            assert (parts - whole[:64]).abs().max() < 1e-5 * whole.square().mean().sqrt()


def test_its_place_in_a_batch_changes_no_bit():
    images, network = random(32, (32, 32)), Embedded((32, 32))
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images[order]), network(images)[order])


def test_grey_and_clear_pictures_are_as_in_colour():
    network = Embedded((16, 16))
    grey, clear = random(2, (16, 16), 1), random(2, (16, 16), 4)
    assert torch.equal(network(grey), network(grey.expand(-1, -1, -1, 3)))
    alpha = clear[..., 3:].double()
    laid = ((alpha * clear[..., :3] + (255 - alpha) * 255) / 255).round().to(torch.uint8)
    assert torch.equal(network(clear), network(laid))
    clear[..., 3] = 255
    assert torch.equal(network(clear), network(clear[..., :3]))


def test_even_pictures():
    for value in [0, 255]:
        for size in [(1, 1), (8, 8), (40, 3), (129, 128)]:
            assert Embedded(size)(torch.full((1, *size, 3), value, dtype=torch.uint8)).isfinite().all()


def test_the_hash_is_of_the_weights_and_of_what_is_done_before(tmp_path, monkeypatch):
    usual = Embedded((8, 8)).hash
    assert len(usual) == 16
    assert int(usual, 16) >= 0
    assert Embedded((8, 8)).hash == usual
    assert Embedded((64, 64)).hash == usual  # the size is not part of the network
    for name, value in (("SCALE", 11.0), ("LARGEST", 64), ("SIDE", 16), ("VERSION", "embedded 2")):
        with monkeypatch.context() as patch:
            patch.setattr(embedded, name, value)
            assert Embedded((8, 8)).hash != usual
    data = bytearray(WEIGHTS.read_bytes())
    data[-1] ^= 1
    (tmp_path / "other.safetensors").write_bytes(data)
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "other.safetensors")
    assert Embedded((8, 8)).hash != usual


def test_the_file_of_weights():
    weights = load_file(WEIGHTS)
    assert WEIGHTS.stat().st_size < 2_000_000
    assert {name: tuple(w.shape) for name, w in weights.items()} == {
        name: tuple(w.shape) for name, w in EmbeddedNetwork().state_dict().items()
    }
    assert {w.dtype for w in weights.values()} == {torch.float16}
    assert 0.8e6 < sum(math.prod(w.shape) for w in weights.values()) < 0.9e6
    assert all(w.isfinite().all() for w in weights.values())
