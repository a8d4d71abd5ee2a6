"""The codec of latent diffusion: normalised, tiled, and the same for an image whoever else is in its batch."""

import pytest
import torch
from torch import nn

import autoencoders
from ddpm.codec import AutoencoderCodec, PixelCodec, TrainedAutoencoder
from ddpm.codec import autoencoder as room
from ddpm.codec.tiles import Tiles, ramps
from ddpm.core.stream import RowStreams
from ddpm.sampling.windows import starts

MEAN, SPREAD = torch.tensor([0.3, -0.2, 0.1]), torch.tensor([0.5, 2.0, 1.5])


def codec(mode: str = "RGB", tile: int = 512) -> AutoencoderCodec:
    return AutoencoderCodec(TrainedAutoencoder(autoencoders.network(mode), MEAN, SPREAD), 2, tile)


def images(n: int = 3, height: int = 8, width: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (n, height, width, 3), generator=torch.Generator().manual_seed(0)).byte()


def test_latents_are_those_of_the_network_normalised() -> None:
    made, net = codec(), autoencoders.network("RGB")
    z = made.encode(images())
    mean, logvar = net.moments(PixelCodec().encode(images()))
    assert z.shape == (3, 3, 4, 6)
    torch.testing.assert_close(z, (mean - MEAN[:, None, None]) / SPREAD[:, None, None])
    assert made.decode(z).equal(PixelCodec().decode(net.decode(mean)))
    torch.testing.assert_close(made.moments(images()), torch.cat([mean, logvar], 1).half())


def test_a_sample_of_the_posterior_has_its_mean_and_spread_and_belongs_to_the_row() -> None:
    made, stored = codec(), codec().moments(images(1)).expand(4096, -1, -1, -1)
    streams = RowStreams(5, 3, 4096, range(4096))
    z = made.sample(stored, streams)
    mean, logvar = stored[0].float().chunk(2)
    std = (0.5 * logvar).exp() / SPREAD[:, None, None]
    off = (z.mean(0) - (mean - MEAN[:, None, None]) / SPREAD[:, None, None]) / std
    assert off.abs().max() < 5 / 4096**0.5
    assert (z.std(0) / std - 1).abs().max() < 0.06
    assert made.sample(stored[8:9], streams.part(slice(8, 9))).equal(z[8:9])


def test_an_image_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, as each part of a batch has the same size."""
    monkeypatch.setitem(room.PIXELS, "cpu", 4 * 8 * 12)
    made, pixels = codec(), images(7)
    z, decoded = made.encode(pixels), made.decode(made.encode(pixels))
    for i in range(7):
        assert made.encode(pixels[i : i + 1]).equal(z[i : i + 1])
        assert made.decode(z[i : i + 1]).equal(decoded[i : i + 1])


def test_half_precision_around_it_changes_nothing() -> None:
    made = codec()
    z = made.encode(images())
    with torch.autocast("cpu", torch.bfloat16):
        assert made.encode(images()).equal(z)
        assert made.decode(z.half()).equal(made.decode(z.half().float()))


@pytest.mark.parametrize(("inner", "outer"), [(1, 2), (2, 1)])
def test_tiles_of_a_narrow_view_are_the_whole(inner: int, outer: int) -> None:
    """With views up to a sixteenth of a tile, up to the rounding of sums; wider ones only change near the seams."""
    torch.manual_seed(0)
    net: nn.Module = nn.Conv2d(2, 3, 3, padding=1)
    net = nn.Sequential(nn.Upsample(scale_factor=2), net) if outer == 2 else nn.Sequential(net, nn.AvgPool2d(2))
    x = torch.randn(2, 2, 40 * inner, 57 * inner)
    with torch.no_grad():
        torch.testing.assert_close(Tiles(net, inner, outer, 16)(x), net(x))
        assert Tiles(net, inner, outer, 64)(x).equal(net(x))


def test_the_tiles_of_an_autoencoder_are_nearly_the_whole() -> None:
    pixels = images(1, 64, 200)
    whole, tiled = codec(), codec(tile=160)
    z = whole.encode(pixels)
    assert (tiled.encode(pixels) - z).std() < 0.05 * z.std()
    assert (tiled.decode(z).float() - whole.decode(z)).abs().mean() < 1


@pytest.mark.parametrize("scale", [1, 4])
def test_weights_of_tiles_sum_to_one(scale: int) -> None:
    begins = starts(57, 16, 0.25)
    total = torch.zeros(57 * scale, dtype=torch.float64)
    for a, weight in zip(begins, ramps(begins, 57, 16, scale), strict=True):
        total[a * scale : (a + 16) * scale] += weight
    torch.testing.assert_close(total, torch.ones_like(total))
