"""From stored images to what is diffused, and back."""

from ddpm.codec.pixel import PixelCodec

__all__ = ["PixelCodec"]
