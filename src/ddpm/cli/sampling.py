"""The flags of the commands that draw samples."""

from ddpm.cli.flags import flags
from ddpm.config.options import options
from ddpm.config.sampling import SamplingConfig

OWN = ("steps", "size", "whole")
"""Options that each command defines itself, as their meaning or range differs."""


@flags(SamplingConfig, [name for name in options(SamplingConfig) if name not in OWN])
class Sampling:
    """How to draw samples; the run's own settings by default."""


UNCHANGED = Sampling()
"""The run's own settings."""
