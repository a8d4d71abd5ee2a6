"""The flags of the commands that draw samples."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ddpm.cli.flags import flags
from ddpm.config.options import options
from ddpm.config.sampling import SamplingConfig

OWN = ("steps", "size", "whole")
"""Options that each command defines itself, as their meaning or range differs."""


@dataclass(frozen=True)
class SamplingFlags:
    """How to draw samples; the run's own settings by default."""

    def given(self) -> dict[str, Any]:
        """The settings that were given."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


if TYPE_CHECKING:

    class Sampling(SamplingFlags):
        """The options of ``SamplingConfig``."""

else:
    Sampling = flags(
        "Sampling", SamplingFlags, SamplingConfig, [name for name in options(SamplingConfig) if name not in OWN]
    )

UNCHANGED = Sampling()
"""The run's own settings."""
