import torch

from ddpm.codec import PixelCodec
from ddpm.conditioning import MaskedImage, masked_image
from ddpm.core.condition import Absent


def test_hidden_pixels_are_mid_grey_and_marked() -> None:
    images = torch.randint(0, 256, (2, 4, 6, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    hidden = torch.zeros(2, 4, 6, dtype=torch.bool)
    hidden[0, :, 3:] = True
    raw = masked_image(PixelCodec().encode, images, hidden)
    cond = MaskedImage(3).encode(raw)
    assert torch.equal(cond.image[:, 0], hidden.float())
    assert torch.equal(cond.image[1, 1:], PixelCodec().encode(images)[1])
    assert not cond.image[0, 1:, :, 3:].any()
    assert torch.equal(cond.image[0, 1:, :, :3], PixelCodec().encode(images)[0, :, :, :3])


def test_nothing_known_is_all_hidden() -> None:
    conditioner = MaskedImage(3)
    assert isinstance(conditioner, Absent)
    assert conditioner.null(2) is None
    raw = conditioner.absent(PixelCodec().encode, (4, 6), torch.device("cpu"))
    assert raw.shape == (1, 4, 4, 6)
    assert (raw[:, 0] == 1).all()
    assert not raw[:, 1:].any()
