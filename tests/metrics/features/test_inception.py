"""Our Inception on the peer's recorded numbers (benchmarks/inception_agreement.py), and what needs no peer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ddpm.metrics.features import inception
from ddpm.metrics.features.inception import Inception, tensorflow_resize
from ddpm.metrics.features.inception_blocks import InceptionV3, mean_pool
from refusal import refuses

from .random_inception import SIZES, random_images, random_weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state():
    return random_weights()


@pytest.fixture(scope="module")
def network(state):
    return Inception(state, CPU)


def test_agrees_with_torch_fidelity(network):
    recorded = load_file(Path(__file__).parent / "data" / "torch_fidelity.safetensors")
    features = torch.cat([network(random_images(1, *size)) for size in SIZES])
    assert features.shape == (len(SIZES), network.dim)
    for ours, theirs in (
        (features[:, ::16], recorded["features"]),
        (network.logits(features)[:, ::16], recorded["logits"]),
    ):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-4 * theirs.square().mean().sqrt()


def test_an_image_has_the_same_bits_in_any_batch(network, monkeypatch):
    images = random_images(3, 16, 16)
    together = network(images)
    assert torch.equal(together[:2], network(images[:2]))
    assert torch.equal(together[2:], network(images[2:]))
    monkeypatch.setattr(inception, "PIECE", 2)
    assert torch.equal(together, network(images))


def test_grey_and_clear_pictures_are_as_in_colour(network):
    grey = random_images(1, 8, 8)[..., :1]
    clear = torch.cat([random_images(1, 8, 8), torch.zeros(1, 8, 8, 1, dtype=torch.uint8)], -1)
    white = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    assert torch.equal(network(grey), network(grey.expand(-1, -1, -1, 3)))
    assert torch.equal(network(clear), network(white))


def test_names_are_those_of_the_published_file():
    with torch.device("meta"):
        shapes = {name: tuple(w.shape) for name, w in InceptionV3().state_dict().items()}
    assert len([name for name in shapes if name.endswith("conv.weight")]) == 94
    assert len(shapes) == 94 * 6 + 2
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch1x1.bn.running_mean"] == (64,)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6e.branch7x7dbl_5.conv.weight"] == (192, 192, 1, 7)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["fc.weight"] == (1008, 2048)


def test_a_mean_at_the_border_is_of_what_lies_inside():
    assert torch.equal(mean_pool(torch.ones(1, 1, 4, 5)), torch.ones(1, 1, 4, 5))


@pytest.mark.parametrize(("n", "out"), [(8, 299), (32, 299), (75, 299), (299, 299), (300, 299), (1024, 299), (1, 7)])
def test_place_i_lies_at_i_in_over_out(n, out):
    values = torch.rand(n, generator=torch.Generator().manual_seed(n)) * 255
    expected = np.interp(np.arange(out) * n / out, np.arange(n), values.numpy().astype(np.float64))
    row = tensorflow_resize(values.view(1, 1, 1, n), (1, out)).flatten()
    column = tensorflow_resize(values.view(1, 1, n, 1), (out, 1)).flatten()
    # a place is known to 24 bits, and a value changes by 255 at most from one to the next
    np.testing.assert_allclose(row, expected, atol=255 * 2.0**-23 * n, rtol=0)
    assert torch.equal(row, column)


def test_a_picture_of_the_right_size_is_left_as_it_is():
    x = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(tensorflow_resize(x, (5, 7)), x)


def test_the_hash_is_of_weights_and_not_of_files(network, state, tmp_path, monkeypatch):
    counts = {f"{name[: -len('weight')]}num_batches_tracked": torch.tensor(7) for name in state if "bn.weight" in name}
    save_file(state | counts, tmp_path / "with_counts.safetensors")
    torch.save(state, tmp_path / "published.pth")
    assert Inception.load(str(tmp_path / "with_counts.safetensors"), CPU).hash == network.hash

    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(inception, "URL", (tmp_path / "published.pth").as_uri())
    monkeypatch.setattr(inception, "SHA256", "")
    assert Inception.load(None, CPU).hash == network.hash
    assert (tmp_path / "cache" / "weights" / "published.pth").is_file()

    nudged = state | {"fc.bias": state["fc.bias"].nextafter(torch.tensor(1.0))}
    assert Inception(nudged, CPU).hash != network.hash


def test_weights_of_another_network_are_refused(state):
    with refuses("incompatible"):
        Inception(state | {"AuxLogits.fc.weight": torch.zeros(1)}, CPU, "my.pth")
