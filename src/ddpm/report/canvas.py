"""Render panels as figures, and figures as files or SVG for a page."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec
from xml.etree import ElementTree

from ddpm.system.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes"], None]
"""A function that draws one panel."""
Arguments = ParamSpec("Arguments")

INK, FAINT, RULE = "#22262b", "#66707c", "#dfe3e8"
BLUE, ORANGE, GREEN, PURPLE, ROSE = "#2a6fb0", "#bd5a0f", "#2b8050", "#7a52b0", "#b83b62"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, ROSE)
VARIABLES = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    ROSE: "var(--rose)",
}
"""The CSS value of each colour on a page, which follows the reader's light or dark theme."""

SIZE = (4.6, 3.0)
"""Inches of a panel: at 72 points each, narrow enough that a phone shows its text at nearly full size."""
LEGEND = 0.55
"""Inches of its height reserved for a legend of two rows above it."""
TALL = 4.4
"""Inches of height of a panel next to two others."""
DPI = 200
"""Pixels per inch of a PNG."""
STYLE: Any = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.5,
    "legend.handletextpad": 0.5,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "ddpm",
}
FORMATS = ("png", "svg", "pdf")
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def panel(draw: "Callable[Concatenate[Axes, Arguments], None]") -> Callable[Arguments, Draw]:
    """A decorator that turns a function of axes and arguments into a function of the arguments that returns a panel."""

    @wraps(draw)
    def made(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Draw:
        return lambda ax: draw(ax, *args, **kwargs)

    return made


@contextmanager
def style() -> Iterator[None]:
    """Apply the style that all figures share.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as e:
        raise InputError(
            "missing", 'plots need matplotlib, which is not installed; run pip install "ddpm[report]"'
        ) from e
    with matplotlib.rc_context(STYLE):
        yield


def figure(*panels: Draw, height: float = SIZE[1]) -> "Figure":
    """Draw panels side by side, of this height in inches, or higher if the legend above them has many rows."""
    with style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        fig = Figure((SIZE[0] * len(panels), height), layout="constrained")
        for number, draw in enumerate(panels, 1):
            draw(fig.add_subplot(1, len(panels), number))
        renderer = FigureCanvasAgg(fig).get_renderer()  # type: ignore[no-untyped-call]
        legends = [legend.get_window_extent(renderer).height for ax in fig.axes if (legend := ax.get_legend())]
        fig.set_figheight(height + max(0, max(legends, default=0) / fig.dpi - LEGEND))
    return fig


def to_bytes(fig: "Figure", format: str) -> bytes:
    """Render a figure as a file; the same figure gives the same bytes."""
    out = BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
    with style():
        fig.savefig(out, format=format, dpi=DPI, metadata=undated)
    return out.getvalue()


def inline(fig: "Figure", title: str) -> str:
    """Render a figure as SVG for a page: as wide as its container, in the page's font and colours.

    Args:
        title: a description for screen readers; ids in the SVG are derived from it.
    """
    fig.patch.set_visible(False)
    for axes in fig.axes:
        axes.patch.set_visible(False)
    root = ElementTree.fromstring(to_bytes(fig, "svg"))
    for unwanted in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}defs"):
        for child in root.findall(unwanted):
            if child.tag.endswith("metadata") or child.find(f"{{{_SVG}}}style") is not None:
                root.remove(child)
    used = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    prefix = re.sub(r"\W+", "-", title.lower())
    for node in root.iter():
        name = node.attrib.pop("id", None)
        if name in used:
            node.set("id", f"{prefix}-{name}")
        for key, value in node.attrib.items():
            node.set(key, _themed(value, key, prefix, used))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": title}
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _references(root: ElementTree.Element) -> Iterator[str]:
    for node in root.iter():
        yield node.get(f"{{{_XLINK}}}href", "")
        yield from re.findall(r"url\((#[^)]+)\)", " ".join(node.attrib.values()))


def _themed(value: str, key: str, prefix: str, used: set[str]) -> str:
    """Rewrite an attribute to use the page's colours and font, and prefixed ids."""
    if key == "style":
        value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)  # matplotlib before 3.11
        value = re.sub(r"font-family: [^;]*;\s*", "", value)
        return re.sub(r"#[0-9a-f]{6}", lambda colour: VARIABLES.get(colour[0], colour[0]), value)
    return re.sub(r"#([\w-]+)", lambda name: f"#{prefix}-{name[1]}" if name[1] in used else name[0], value)
