"""``ddpm report`` and ``ddpm plot``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ddpm.cli.flags import refuse_flags
from ddpm.cli.output import say
from ddpm.system.errors import InputError
from ddpm.system.names import suggest

KINDS = ("schedule", "loss", "guidance", "calls", "minutes", "trajectory")
SEVERAL = ("schedule", "calls", "minutes")
"""The plots of more than one run."""


def report(run: Path, *others: Path, out: Path | None = None) -> None:
    """Write an HTML report on a run: scores, samples, losses, settings, and the commands to reproduce it.

    Args:
        run: A run folder, finished or not. The report of a student also plots its teacher.
        others: Further runs, such as students of the first, to plot with it: quality against network calls and against
            training time.
        out: The file to write; RUN/report.html by default. It is self-contained.
    """
    from ddpm.report import write

    say(str(write(run, out, others)))


def plot(
    kind: str,
    *what: str,
    out: Path | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    label: list[str] | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> None:
    """Plot a noise schedule, a run's loss, the search for its guidance, its quality, or its sampling trajectory.

    Args:
        kind: schedule: signal, noise and their ratio at each level. loss: over training, and by noise level.
            guidance: Fréchet distance and recall against the scale. calls, minutes: Fréchet distance against network
            calls and against minutes of training. trajectory: how samples form.
        what: A run folder; for calls and minutes, also others to plot with it; for schedule, also the names of
            schedules.
        out: The .png, .svg or .pdf file to write; RUN/plots/KIND.png by default.
        n: For trajectory: the number of samples; 8 by default.
        label: For trajectory: a class, by name or number. Repeat the flag to alternate between several.
        seed: For trajectory: the random seed; 0 by default. Sample i depends on the seed and i alone.
        device: For trajectory: cpu, cuda or mps; the best available by default.
    """
    from ddpm.report import plots

    if kind not in KINDS:
        raise InputError("unknown", f"unknown plot {kind!r}{suggest(kind, list(KINDS))}; use {', '.join(KINDS)}")
    if not what:
        raise InputError("missing", f"no run given; add a run folder, as in `ddpm plot {kind} runs/photos`")
    if kind not in SEVERAL and len(what) > 1:
        raise InputError("invalid", f"plot {kind} takes one run, not {len(what)}; plot them one at a time")
    if kind != "trajectory":
        refuse_flags(f"plot {kind}", n=n, label=label, seed=seed, device=device)
    path = plots.target(kind, what, out)
    if kind == "schedule":
        figure = plots.schedule(what)
    elif kind == "loss":
        figure = plots.loss(Path(what[0]))
    elif kind == "guidance":
        figure = plots.guidance(Path(what[0]))
    elif kind == "calls":
        figure = plots.calls([Path(run) for run in what])
    elif kind == "minutes":
        figure = plots.minutes([Path(run) for run in what])
    else:
        figure = plots.trajectory(Path(what[0]), 8 if n is None else n, label or (), seed or 0, device)
    say(str(plots.save(figure, path)))
