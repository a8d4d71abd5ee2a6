"""The lines of a panel."""

import numpy as np

from ddpm.report.canvas import Draw, figure


def drawn(draw: Draw) -> dict[str, list[tuple[float, float]]]:
    """Label of the legend -> points."""
    (ax,) = figure(draw).axes
    handles, labels = ax.get_legend_handles_labels()
    lines = [handle.lines[0] if hasattr(handle, "lines") else handle for handle in handles]
    points = [np.column_stack([line.get_xdata(), line.get_ydata()]).tolist() for line in lines]
    return {label: [(x, y) for x, y in some] for label, some in zip(labels, points, strict=True)}
