"""Format numbers for readers."""

from ddpm.metrics.estimate import Estimate


def amount(n: float) -> str:
    """Format with three digits and a unit: ``950``, ``7.66 k``, ``153 k``, ``2 M``, ``0.05``."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(n) >= size:
            return f"{n / size:.3g}{unit}"
    return f"{n:.3g}".replace("-", "−")


def measured(x: float) -> str:
    """Format a measured number to about three digits: ``0.0123``, ``0.612``, ``8.41``, ``23.6``, ``1,204``."""
    places = next((n for n, size in enumerate((100, 10, 1, 0.1)) if abs(x) >= size), 4)
    return f"{x:,.{places}f}".replace("-", "−")


def percent(x: float) -> str:
    """Format a share with a non-breaking space: ``0.05 %``, ``4.2 %``, ``100 %``."""
    text = f"{100 * x:.2f}" if 0 < x < 0.00995 else f"{100 * x:.1f}"
    return f"{text if 0 < x < 1 else f'{100 * x:.0f}'}\u00a0%"


def signed(x: float) -> str:
    """Format a difference or a value in [-1, 1]: ``+0.020``."""
    return f"{x:+.3f}".replace("-", "−")


def spread(interval: Estimate, share: bool = False) -> str:
    """Format an interval."""
    say = percent if share else measured
    return f"{say(interval.low)} to {say(interval.high)}"
