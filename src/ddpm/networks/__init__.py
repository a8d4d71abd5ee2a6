"""Networks: ``net(x, t, cond)``, which know nothing of noise levels."""

from ddpm.networks.classifier import NoisedClassifier
from ddpm.networks.unet import UNet

__all__ = ["NoisedClassifier", "UNet"]
