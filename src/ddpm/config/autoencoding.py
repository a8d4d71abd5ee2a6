"""The training objective of an autoencoder."""

from typing import Annotated

from ddpm.system.record import Strict, at_most, bounds

Share = Annotated[float, bounds(0, 1)]


class AdversarialConfig(Strict):
    """The patch discriminator (Isola et al. 2017; Esser et al. 2021).

    Attributes:
        start: The fraction of the run after which the discriminator trains.
        alone: The fraction of the run for which it then trains alone, before the autoencoder is trained against it.
        weight: The size of the gradient of its term at the reconstruction, relative to that of the other terms.
        width: The channels of its first layer.
        layers: The number of its layers of stride 2.
        tolerance: The fall of the held-out PSNR below its best since the autoencoder has been trained against it, in
            dB, beyond which it is dropped.
    """

    start: Share = 0.5
    alone: Share = 0.05
    weight: Annotated[float, bounds(0, above=True)] = 0.1
    width: Annotated[int, bounds(8), at_most(65_536)] = 32
    layers: Annotated[int, bounds(1), at_most(16)] = 2
    tolerance: Annotated[float, bounds(0)] = 0.5


class LPIPSConfig(Strict):
    """The weights of LPIPS (Zhang et al. 2018).

    Attributes:
        source: Their file.
        weights: Their hash.
    """

    source: str
    weights: str


class AutoencodingConfig(Strict):
    """The loss: the mean absolute error, and these terms.

    Attributes:
        perceptual: The weight of the distance between feature maps; 0 for none.
        lpips: The weights of LPIPS, which then is that distance; None for one between maps of the embedded network.
        kl: The weight of the KL divergence of the latents from a standard normal distribution, as a sum over the
            latents of an image, where the absolute error is a sum over its pixels and channels (Rombach et al. 2022).
        kl_warmup: The fraction of the run over which that weight rises linearly from 0.
        equivariance: The fraction of the batches whose latents are downsampled, and decoded to the downsampled images
            (Kouzelis et al. 2025); 0 for none.
        adversarial: The patch discriminator; None for none.
    """

    perceptual: Annotated[float, bounds(0)] = 0.1
    lpips: LPIPSConfig | None = None
    kl: Annotated[float, bounds(0)] = 1e-6
    kl_warmup: Share = 0.05
    equivariance: Share = 0.0
    adversarial: AdversarialConfig | None = None

    @property
    def words(self) -> str:
        """A short description: "L1 + perceptual + KL loss"."""
        distance = "perceptual" if self.lpips is None else "LPIPS"
        terms = ["L1", *[distance] * (self.perceptual > 0), *["KL"] * (self.kl > 0)]
        terms += ["adversarial"] * (self.adversarial is not None)
        return " + ".join(terms) + " loss" + (", scale equivariance" if self.equivariance else "")
