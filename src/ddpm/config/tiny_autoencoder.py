"""The shape of a small distilled autoencoder."""

from dataclasses import dataclass
from typing import Literal

from ddpm.system.limits import BlocksOfLevels, Channels


@dataclass(frozen=True)
class TinyAutoencoderSettings:
    """The shape of TAESD, Ollin Boer Bohan's distilled autoencoder; that of diffusers' AutoencoderTiny.

    Attributes:
        kind: The name of this kind of network.
        image_channels: The channels of an image.
        channels: The channels of the latents.
        width: The channels at every level.
        encoder_blocks: The blocks of each level of the encoder, finest first; each level halves the resolution.
        decoder_blocks: The blocks of each level of the decoder, coarsest first.
    """

    kind: Literal["tiny"] = "tiny"
    image_channels: Channels = 3
    channels: Channels = 4
    width: Channels = 64
    encoder_blocks: BlocksOfLevels = (1, 3, 3, 3)
    decoder_blocks: BlocksOfLevels = (3, 3, 3, 1)

    def __post_init__(self) -> None:
        for name in ("image_channels", "channels", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("encoder_blocks", "decoder_blocks"):
            if min(getattr(self, name), default=-1) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; use one number of at least 0 per level")
        if len(self.encoder_blocks) != len(self.decoder_blocks):
            raise ValueError(
                f"encoder_blocks has {len(self.encoder_blocks)} levels and decoder_blocks {len(self.decoder_blocks)}; "
                "use as many"
            )

    @property
    def factor(self) -> int:
        """The side, in pixels, of one position of the latents; it must divide each side of an image."""
        return int(2 ** (len(self.encoder_blocks) - 1))

    @property
    def stochastic(self) -> bool:
        """Whether the encoder gives a distribution of latents."""
        return False

    def describe(self) -> str:
        """A one-line summary: "f8, 4 latent channels, tiny, width 64"."""
        return f"f{self.factor}, {self.channels} latent channels, tiny, width {self.width}"
