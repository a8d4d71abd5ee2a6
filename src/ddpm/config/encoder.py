"""The width of a classifier's U-Net, for the images of any network."""

from ddpm.system.limits import MOST_CHANNELS

LEAST = 32
"""The smallest default width."""


def encoder_width(given: int | None, width: int, most: int = MOST_CHANNELS) -> int:
    """The given width, or else half the network's, as an even number of at least ``LEAST`` and at most ``most``."""
    return max(LEAST, min(most, width // 4 * 2)) if given is None else given
