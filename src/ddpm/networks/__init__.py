"""Networks: ``net(x, t, cond)``, independent of the noise schedule."""

from ddpm.networks.autoencoder import Autoencoder
from ddpm.networks.classifier import NoisedClassifier
from ddpm.networks.discriminator import PatchDiscriminator
from ddpm.networks.unet import UNet

__all__ = ["Autoencoder", "NoisedClassifier", "PatchDiscriminator", "UNet"]
