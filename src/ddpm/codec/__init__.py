"""Codecs between stored images and the diffused tensors."""

from ddpm.codec.autoencoder import AutoencoderCodec, TrainedAutoencoder
from ddpm.codec.pixel import PixelCodec
from ddpm.codec.protocol import Codec

__all__ = ["AutoencoderCodec", "Codec", "PixelCodec", "TrainedAutoencoder"]
