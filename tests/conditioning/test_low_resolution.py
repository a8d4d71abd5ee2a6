"""Small images beside x: their enlarging, their noise, and what the network sees of both."""

import math

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.codec import PixelCodec
from ddpm.conditioning import BoxMeans, LabelEmbedding, LowResolution
from ddpm.conditioning.low_resolution import enlarge
from ddpm.config.network import UNetSettings
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.networks import UNet
from ddpm.networks.embeddings import TimeEmbedding

CODEC = PixelCodec()
STREAMS = RowStreams(seed=5, step=3, batch=6, rows=range(6))


@pytest.fixture
def low() -> LowResolution:
    torch.manual_seed(0)
    return LowResolution(TimeEmbedding(8, 4), CODEC, scale=2, s_max=0.5)


@pytest.fixture
def model(low: LowResolution) -> Model:
    settings = UNetSettings(
        in_channels=2, out_channels=1, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=4
    )
    made = Model(UNet(settings), {"label": LabelEmbedding(2, 4), "low_resolution": low})
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return made


def small(n: int = 6, channels: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (n, 2, 2, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@cases("value", [-1.0, -0.25, 0.0, 1.0])
def test_constant_images_stay_what_they_are(value):
    large = enlarge(torch.full((1, 3, 5, 2), value, dtype=torch.float64), 4)
    assert large.shape == (1, 3, 20, 8)
    torch.testing.assert_close(large, torch.full_like(large, value), rtol=0, atol=1e-14)


def test_enlarging_keeps_straight_lines():
    """Bicubic interpolation reproduces polynomials of degree one, inside; small pixel i is centred on 4 i + 1.5."""
    ramp = torch.arange(12, dtype=torch.float64).expand(1, 1, 12, 12)
    line = (torch.arange(48, dtype=torch.float64) - 1.5) / 4
    torch.testing.assert_close(enlarge(ramp, 4)[0, 0, 20, 8:-8], line[8:-8], rtol=0, atol=1e-12)


def test_small_images_are_box_means_in_eight_bits():
    """The pixels of a PNG of the means."""
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 6, 3), np.uint8)
    made = BoxMeans(CODEC, 2)(images)
    means = images.astype(np.float64).reshape(8, 4, 2, 3, 2, 3).mean((2, 4))
    assert made.shape == (8, 4, 3, 3)
    assert made.dtype == np.uint8
    assert np.abs(made - means).max() <= 0.5 + 1e-4  # a half may be rounded either way
    assert (np.abs(means % 1 - 0.5) > 1e-4).mean() > 0.7


def test_the_noise_is_that_of_a_cosine_schedule(low):
    image, eps = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    s = torch.tensor([0.0, 1 / 3, 1.0])
    cond = low.encode(low.noised(image, s, eps))
    assert torch.equal(cond.image[0], image[0])
    torch.testing.assert_close(cond.image[1], math.sqrt(3) / 2 * image[1] + 0.5 * eps[1])
    torch.testing.assert_close(cond.image[2], eps[2])
    torch.testing.assert_close(cond.vector, low.strength(1000 * s))


def test_small_images_as_stored_are_those_of_strength_zero(low):
    plain = low.encode(small())
    zero = low.encode(low.noised(low.enlarged(small()), torch.zeros(6), torch.randn(6, 1, 4, 4)))
    assert torch.equal(plain.image, enlarge(CODEC.encode(small()), 2))
    assert torch.equal(plain.image, zero.image)
    assert torch.equal(plain.vector, zero.vector)


def test_training_shows_them_with_the_noise_of_their_row(low):
    s, eps = 0.5 * STREAMS.uniform("strengths"), STREAMS.normal("strength noise", (1, 4, 4))
    shown = low.augment(small(), STREAMS)
    assert torch.equal(shown, low.noised(low.enlarged(small()), s, eps))
    for part in (slice(0, 2), slice(2, 6)):
        assert torch.equal(low.augment(small()[part], STREAMS.part(part)), shown[part])
    strengths = low.augment(small(1).expand(2000, -1, -1, -1), RowStreams(0, 0, 2000, range(2000)))[:, -1, 0, 0]
    # uniform in [0, 1/2), within five standard errors
    assert 0 <= strengths.min() < 0.01
    assert 0.49 < strengths.max() < 0.5
    assert strengths.mean() == pytest.approx(0.25, abs=5 * 0.5 / (12 * 2000) ** 0.5)


def test_they_are_always_given(low):
    assert low.null(3) is None
    assert torch.equal(low.drop(small(), torch.ones(6, dtype=torch.bool)), small())


def test_the_network_sees_the_image_its_noise_and_the_label(model):
    """Each of the four changes the output; nothing else of a row does."""
    x, t, low = torch.randn(1, 1, 4, 4), torch.zeros(1), model.conditioners["low_resolution"]
    image, s, label = torch.randn(1, 1, 4, 4), torch.tensor([0.1]), torch.tensor([0])

    def answer(image, s, label):
        raw = {"label": label, "low_resolution": low.noised(image, s, torch.zeros_like(image))}
        return model.net(x, t, model.cond(raw, 1))

    plain = answer(image, s, label)
    assert plain.shape == x.shape
    for other in (answer(image + 0.5, s, label), answer(image, s + 0.2, label), answer(image, s, label + 1)):
        assert (other - plain).abs().max() > 1e-3
    assert torch.equal(answer(image, s, label), plain)


def test_two_conditioners_add_up_behind_one_protocol(model):
    """Vectors are added, the image stays; without labels it is as with the null label."""
    label, low = model.conditioners["label"], model.conditioners["low_resolution"]
    both, alone = (model.cond({"low_resolution": small(3), **more}, 3) for more in ({"label": torch.arange(3)}, {}))
    torch.testing.assert_close(both.vector, label.table.weight + low.encode(small(3)).vector)
    torch.testing.assert_close(alone.vector, label.table.weight[[2] * 3] + low.encode(small(3)).vector)
    assert torch.equal(both.image, low.enlarged(small(3)))
    assert torch.equal(alone.image, both.image)
    assert both.raw.keys() == {"label"}
    assert model.requires == ("low_resolution",)


def test_without_a_conditioner_small_images_mean_nothing():
    assert Model(torch.nn.Identity()).cond({"low_resolution": small()}, 6) is None
