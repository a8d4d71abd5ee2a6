"""The autoencoders of the ladder have the factor that was asked for, and latents of at least 4 × 4."""

import pytest

from cases import cases
from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.planning.recipes.autoencoder import autoencoder
from refusal import refuses


@cases(
    ("size", "given", "factor"),
    [
        ((64, 64), None, 4),
        ((128, 96), None, 4),
        ((256, 128), None, 8),
        ((256, 16), None, 4),
        ((64, 64), 2, 2),
        ((64, 64), 8, 8),
        ((64, 64), 16, 16),
    ],
)
def test_the_factor(size, given, factor):
    rungs = autoencoder(size, given)
    assert [AutoencoderSettings(**rung.tree["network"]).factor for rung in rungs] == [factor] * len(rungs)
    needs = [rung.needs for rung in rungs]
    assert needs == sorted(needs)
    assert needs[0] == 0


def test_images_too_small_for_their_factor():
    with refuses("invalid", "12 × 64", "--factor 4", "16 × 16"):
        autoencoder((12, 64))
    with refuses("invalid", "24 × 24", "--factor 8", "32 × 32"):
        autoencoder((24, 24), 8)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_network_decodes_to_the_size_that_it_encoded(factor):
    import torch

    from ddpm.networks import Autoencoder

    settings = autoencoder((16, 24), factor)[0].tree["network"] | {"width": 8}
    net = Autoencoder(AutoencoderSettings(**settings))
    mean, logvar = net.moments(torch.zeros(2, 3, 16, 24))
    assert mean.shape == logvar.shape == (2, settings["channels"], 16 // factor, 24 // factor)
    assert net.decode(mean).shape == (2, 3, 16, 24)
