"""Search for guidance: the scale from coarse to fine, then intervals of noise, then an early version of the run."""

from collections.abc import Callable

from ddpm.config.guidance import GuidanceConfig, Guide
from ddpm.records.guidance import GuidanceTrial

Measure = Callable[[GuidanceConfig | None], GuidanceTrial]
"""Draws samples with this guidance, None for none, and measures them."""
Rank = Callable[[GuidanceConfig | None], tuple[bool, float]]
"""Measures guidance if it was not measured before: the lower, the better."""

LEAST, MOST = 1.0, 8.0
"""The range of scales."""
COARSE, FINE, FINEST = 2.0, 2**0.5, 2**0.25
"""Factors between neighbouring scales."""
HIGHEST = (5.0, 2.0)
"""Noise-to-signal ratios above which not to guide, where guidance costs variety (Kynkäänniemi et al. 2024)."""
AWAY = 1.4
"""The first scale of guidance away from an early version (Karras et al. 2024 take 1.4 to 2.4)."""


def search(measure: Measure, first: GuidanceConfig | None, guide: Guide | None, *, labels: bool) -> list[GuidanceTrial]:
    """Measure guidance around the best, which is the trial with the lowest :meth:`GuidanceTrial.rank`.

    The distance is assumed to have one minimum over the scale, so a walk in one direction ends where it rises.

    Args:
        first: the guidance to begin at, whose other options are kept.
        guide: an early version of the run to guide away from, if there is one.
        labels: whether there are labels to guide by.

    Returns:
        All trials in the order of the search, ``first`` at the front.
    """
    found: dict[GuidanceConfig | None, GuidanceTrial] = {}

    def rank(guidance: GuidanceConfig | None) -> tuple[bool, float]:
        if guidance not in found:
            found[guidance] = measure(guidance)
        return found[guidance].rank(found[first])

    rank(first)
    if labels:
        _by_labels(rank, GuidanceConfig(scale=LEAST) if first is None else first)
    if guide is not None:
        away = GuidanceConfig(scale=AWAY, away_from=guide)
        _closer(rank, away, _walk(rank, away, AWAY, FINE))
    return list(found.values())


def _by_labels(rank: Rank, own: GuidanceConfig) -> None:
    """Find the best scale at all noise levels, then at fewer of them, which allow higher scales; then refine it."""
    guidance, scale = own, _walk(rank, own, _walk(rank, own, own.scale, COARSE), FINE)
    for high in HIGHEST if own.interval is None else ():
        narrower = own.model_copy(update={"interval": (0.0, high)})
        higher = _while_better(rank, narrower, _within(scale * FINE), FINE)
        if rank(_scaled(narrower, higher)) >= rank(_scaled(guidance, scale)):
            break
        guidance, scale = narrower, higher
    _closer(rank, guidance, _walk(rank, guidance, scale, FINE))


def _walk(rank: Rank, guidance: GuidanceConfig, start: float, factor: float) -> float:
    """Multiply the scale, or else divide it, while that helps."""
    higher = _while_better(rank, guidance, start, factor)
    return higher if higher != start else _while_better(rank, guidance, start, 1 / factor)


def _while_better(rank: Rank, guidance: GuidanceConfig, best: float, ratio: float) -> float:
    """Multiply the scale while that helps."""
    while (further := _within(best * ratio)) != best:
        if rank(_scaled(guidance, further)) >= rank(_scaled(guidance, best)):
            break
        best = further
    return best


def _closer(rank: Rank, guidance: GuidanceConfig, best: float) -> None:
    """Refine the scale on either side of the best."""
    for ratio in (FINEST, 1 / FINEST):
        rank(_scaled(guidance, _within(best * ratio)))


def _within(scale: float) -> float:
    """The scale to two digits, within the range."""
    return min(max(float(f"{scale:.2g}"), LEAST), MOST)


def _scaled(guidance: GuidanceConfig, scale: float) -> GuidanceConfig | None:
    """The same guidance at another scale; None at 1, which is none."""
    return None if scale == 1 else guidance.model_copy(update={"scale": scale})
