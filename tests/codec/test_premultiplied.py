"""Colours times alpha, and back."""

import torch

from ddpm.codec.pixel import PixelCodec
from ddpm.codec.premultiplied import premultiplied, straight
from ddpm.metrics.features.rgb import as_rgb, on_white

EVERY = torch.cartesian_prod(*[torch.arange(256, dtype=torch.uint8)] * 2)
"""Every value of a colour at every alpha, (256², 2)."""
PICTURE = torch.stack([EVERY[:, 0], EVERY[:, 0].flip(0), EVERY[:, 0], EVERY[:, 1]], 1).reshape(1, 256, 256, 4)


def test_what_is_seen_comes_back_exactly() -> None:
    back = straight(premultiplied(PICTURE))
    seen = PICTURE[..., 3:] > 0
    assert torch.equal(back[..., 3], PICTURE[..., 3])
    assert torch.equal(back * seen, PICTURE * seen)
    assert not back[~seen.expand_as(back)].any()


def test_a_decoder_that_exceeds_full_opacity_does_not_darken() -> None:
    white = torch.ones(1, 4, 1, 1)
    white[:, 3] = 1.2
    assert (straight(white) == 255).all()


def test_what_looks_alike_is_equal() -> None:
    other = PICTURE.clone()
    other[..., :3] = torch.where(PICTURE[..., 3:] == 0, 200, PICTURE[..., :3])
    assert torch.equal(premultiplied(other), premultiplied(PICTURE))


def test_without_alpha_they_are_the_pixels() -> None:
    assert torch.equal(premultiplied(PICTURE[..., :3]), PixelCodec().encode(PICTURE[..., :3]))
    assert torch.equal(straight(premultiplied(PICTURE[..., :1])), PICTURE[..., :1])


def test_on_white_is_the_composite_before_rounding() -> None:
    exact = (on_white(premultiplied(PICTURE)) + 1) * 127.5
    assert (exact - as_rgb(PICTURE)).abs().max() <= 0.5 + 1e-3
