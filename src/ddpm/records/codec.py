"""An autoencoder as a codec: its files, in its own run folder or copied into that of another run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors.torch import save as tensors_to_bytes

from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.records.latents import LatentsRecord
from ddpm.records.run_folder import RunFolder, Weights, weights_hash
from ddpm.system.errors import InputError
from ddpm.system.files import write_file


@dataclass(frozen=True)
class StoredCodec:
    """A trained autoencoder with the statistics of its latents, read from a folder.

    Attributes:
        source: the folder.
        hash: the hash of the weights.
    """

    source: Path
    config: AutoencoderConfig
    weights: Weights
    latents: LatentsRecord
    hash: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an autoencoder's run folder, or a copy of it.

        Raises:
            InputError: the folder holds no finished autoencoder, or its files are damaged or do not match.
        """
        run = RunFolder.open(path)
        config, latents, weights = run.autoencoder(), run.latents(), run.weights()
        found = cls(path, config, weights, latents, weights_hash(weights))
        if latents.weights != found.hash:
            raise InputError(
                "incompatible",
                f"{run.latents_file} was measured with other weights than those of {run.source}; re-run its `ddpm "
                "train --recipe autoencoder` command",
            )
        channels = config.network.channels
        if (len(latents.mean), len(latents.spread)) != (channels, channels) or not min(latents.spread) > 0:
            raise InputError(
                "unreadable",
                f"{run.latents_file} does not have a mean and a positive spread for each of {channels} channels; "
                "re-run the `ddpm train --recipe autoencoder` command",
            )
        return found

    @property
    def settings(self) -> AutoencoderCodecConfig:
        """The settings of this autoencoder in the config of a run."""
        net = self.config.network
        return AutoencoderCodecConfig(
            source=str(self.source),
            weights=self.hash,
            statistics=self.latents.statistics,
            factor=net.factor,
            image_channels=net.image_channels,
            latent_channels=net.channels,
        )

    def check(self, known: AutoencoderCodecConfig, run: Path) -> None:
        """Check that this is the autoencoder that a run was trained with.

        Raises:
            InputError: it is not.
        """
        found, expected = (self.hash, self.latents.statistics), (known.weights, known.statistics)
        for own, recorded, what in zip(found, expected, ("weights", "statistics"), strict=True):
            if own != recorded is not None:
                raise InputError(
                    "incompatible",
                    f"the {what} of {self.source} changed since {run} was started; restore a backup, or train a new "
                    "run",
                )

    def write(self, folder: Path) -> None:
        """Copy the autoencoder into a folder.

        Raises:
            InputError: a file cannot be written.
        """
        copy = RunFolder(folder)
        write_file(copy.weights_file, tensors_to_bytes(self.weights))
        self.latents.write(copy.latents_file)
        self.config.write(copy.config_file)
