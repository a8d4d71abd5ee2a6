"""Codecs between stored images and the diffused tensors."""

from ddpm.codec.pixel import PixelCodec
from ddpm.codec.protocol import Codec

__all__ = ["Codec", "PixelCodec"]
