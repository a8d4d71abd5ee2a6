"""The kinds of files that can be imported."""

from pathlib import Path
from typing import Protocol

from ddpm.exchange import dit, ldm, lucidrains, openai
from ddpm.exchange.diffusers import autoencoder, pipeline, stable_diffusion
from ddpm.exchange.imported import Imported


class Format(Protocol):
    """A kind of files: a module with these functions."""

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is of this kind, without reading its tensors."""

    def read_model(self, path: Path, flags: str | None) -> Imported:
        """Read a model.

        Args:
            flags: settings that the files lack.

        Raises:
            InputError: a file is missing or damaged, or something in it is not supported.
        """


FORMATS: tuple[Format, ...] = (autoencoder, stable_diffusion, pipeline, ldm, dit, lucidrains, openai)
"""In the order in which they are tried."""
