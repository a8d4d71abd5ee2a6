"""Networks: ``net(x, t, cond)``, independent of the noise schedule."""

from ddpm.networks.autoencoder import Autoencoder
from ddpm.networks.classifier import NoisedClassifier
from ddpm.networks.discriminator import PatchDiscriminator
from ddpm.networks.dit import DiT
from ddpm.networks.lucidrains_unet import LucidrainsUNet
from ddpm.networks.plain_classifier import PlainClassifier
from ddpm.networks.plain_dit import PlainDiT
from ddpm.networks.plain_unet import PlainUNet
from ddpm.networks.tiny_autoencoder import TinyAutoencoder
from ddpm.networks.unet import UNet

__all__ = [
    "Autoencoder",
    "DiT",
    "LucidrainsUNet",
    "NoisedClassifier",
    "PatchDiscriminator",
    "PlainClassifier",
    "PlainDiT",
    "PlainUNet",
    "TinyAutoencoder",
    "UNet",
]
