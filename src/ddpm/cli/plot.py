"""``ddpm plot``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("schedule", "loss", "trajectory")


def plot(
    kind: str,
    *what: str,
    out: Path | None = None,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 8,
    label: list[str] | None = None,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Draw a single picture of a run.

    Parameters
    ----------
    kind
        schedule: signal, noise and their ratio at each level. loss: over training, and by noise level. trajectory:
        how samples come to be.
    what
        A run folder; for schedule also names of schedules, several of them side by side.
    out
        A .png, .svg or .pdf file; RUN/plots/KIND.png by default.
    n
        Samples of a trajectory.
    label
        A class of a trajectory by name or number; several are taken in turn.
    seed
        Sample i of a trajectory is a function of the seed and i alone.
    device
        cpu, cuda or mps; the best there is by default.
    """
    from ddpm.report import plots
    from ddpm.system.console import console
    from ddpm.system.errors import InputError
    from ddpm.system.names import suggest

    if kind not in KINDS:
        raise InputError("unknown", f"unknown plot {kind!r}{suggest(kind, list(KINDS))}; they are {', '.join(KINDS)}")
    if not what:
        raise InputError("invalid", f"give a run folder, as in `ddpm plot {kind} runs/photos`")
    if kind != "schedule" and len(what) > 1:
        raise InputError("invalid", f"{kind} is drawn of one run at a time, not of {len(what)}")
    path = plots.target(kind, what, out)
    figure: Figure
    if kind == "schedule":
        figure = plots.schedule(what)
    elif kind == "loss":
        figure = plots.loss(Path(what[0]))
    else:
        figure = plots.trajectory(Path(what[0]), n, label or (), seed, device)
    console.print(str(plots.save(figure, path)), markup=False)
