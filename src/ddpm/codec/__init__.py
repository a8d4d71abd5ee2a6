"""From stored images to what is diffused, and back."""

from ddpm.codec.picture import beside, opaque, picture, row, sheet
from ddpm.codec.pixel import PixelCodec

__all__ = ["PixelCodec", "beside", "opaque", "picture", "row", "sheet"]
