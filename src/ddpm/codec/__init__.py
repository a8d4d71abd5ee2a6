"""From stored images to what is diffused, and back."""

from ddpm.codec.pixel import PixelCodec
from ddpm.codec.protocol import Codec

__all__ = ["Codec", "PixelCodec"]
