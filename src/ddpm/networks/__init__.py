"""Networks: ``net(x, t, cond)``, independent of the noise schedule."""

from ddpm.networks.classifier import NoisedClassifier
from ddpm.networks.dit import DiT
from ddpm.networks.plain_dit import PlainDiT
from ddpm.networks.unet import UNet

__all__ = ["DiT", "NoisedClassifier", "PlainDiT", "UNet"]
