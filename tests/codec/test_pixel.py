import pytest
import torch

from ddpm.codec import PixelCodec

codec = PixelCodec()


def test_all_256_values_survive() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    x = codec.encode(values)
    assert x.dtype == torch.float32
    assert (x.min(), x.max()) == (-1, 1)
    assert codec.decode(x).equal(values)


def test_channels_go_first_and_back() -> None:
    images = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    x = codec.encode(images)
    assert x.shape == (2, 3, 5, 7)
    assert x.is_contiguous()
    assert x[1, 2, 3, 4] == images[1, 3, 4, 2] / 127.5 - 1
    assert codec.decode(x).equal(images)


def test_any_number_of_spatial_axes() -> None:
    for space in [(5,), (5, 6), (5, 6, 7)]:
        images = torch.randint(0, 256, (2, *space, 3), dtype=torch.uint8)
        assert codec.encode(images).shape == (2, 3, *space)
        assert codec.decode(codec.encode(images)).equal(images)


def test_what_exceeds_the_range_is_clamped_and_the_rest_rounded() -> None:
    x = torch.tensor([-7.0, -1.0, -0.001, 0.001, 1.0, 7.0]).reshape(1, 1, 1, 6)
    assert codec.decode(x).flatten().tolist() == [0, 0, 127, 128, 255, 255]


def test_floats_are_not_taken_for_stored_images() -> None:
    with pytest.raises(ValueError, match="uint8"):
        codec.encode(torch.zeros(1, 2, 2, 3))
