import numpy as np
import pytest
import torch
from PIL import Image

from ddpm.metrics.features.rgb import as_rgb


def test_grey_is_repeated():
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    rgb = as_rgb(images)
    assert rgb.shape == (1, 3, 16, 16)
    assert rgb.dtype == torch.float32
    for c in range(3):
        assert torch.equal(rgb[:, c], images[..., 0].float())


def test_colours_pass():
    images = torch.randint(256, (2, 5, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(as_rgb(images), images.permute(0, 3, 1, 2).float())


def test_every_colour_at_every_alpha_is_what_pillow_lays_on_white():
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([value, 255 - value, value // 2, alpha], -1)
    picture = Image.fromarray(pixels, "RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=picture)
    laid = as_rgb(torch.from_numpy(pixels)[None])
    assert torch.equal(laid[0].permute(1, 2, 0), torch.from_numpy(np.asarray(page).copy()).float())


def test_other_channels_cannot_happen():
    with pytest.raises(AssertionError, match="2 channels"):
        as_rgb(torch.zeros(1, 4, 4, 2, dtype=torch.uint8))
