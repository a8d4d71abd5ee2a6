"""Limits of settings, far beyond those of published models: what exceeds them is damaged, and refused early.

What a network within them needs in all is checked when it is built; see ``ddpm.build``.
"""

from typing import Annotated

from ddpm.system.record import at_most

MOST_LEVELS = 16
"""The most levels of resolution."""
MOST_BLOCKS = 512
"""The most blocks, of a level or of a transformer."""
MOST_CHANNELS = 65_536
MOST_TIMESTEPS = 100_000
LARGEST_SIDE = 65_536
"""The largest side of an image, or of a patch of one, in pixels."""
MOST_PIXELS = 178_956_970
"""The most pixels of an image: twice Pillow's limit for a decompression bomb."""

Channels = Annotated[int, at_most(MOST_CHANNELS)]
Blocks = Annotated[int, at_most(MOST_BLOCKS)]
Side = Annotated[int, at_most(LARGEST_SIDE)]
Multipliers = Annotated[tuple[int, ...], at_most(1024, MOST_LEVELS)]
"""The channels of each level, as multiples of the width."""
BlocksOfLevels = Annotated[tuple[int, ...], at_most(MOST_BLOCKS, MOST_LEVELS)]
