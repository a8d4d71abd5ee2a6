"""What a run is, in words."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddpm.report.numbers import amount
from ddpm.report.reading import Run
from ddpm.system.units import say_seconds


def sentence(run: Run) -> str:
    """What the model is, and what it was trained on."""
    data, net = run.config.data, run.config.network
    classes = f" in {len(data.classes)} classes" if data.classes else ""
    epochs = f" ({run.seen / data.images:.1f} epochs)" if data.images and run.seen else ""
    time = f" in {say_seconds(run.seconds)}" if run.seconds else ""
    return (
        f"A diffusion model of {data.size[0]} × {data.size[1]} {data.mode} images{classes}: "
        f"{net.describe()}, {amount(run.parameters)} weights, trained on {data.images:,} images of "
        f"{Path(data.source).name or data.source}; it has seen {run.seen:,}{epochs}{time}."
    )


def state(run: Run) -> str | None:
    """Why the run is not at its end, or None if it is."""
    total = run.config.training.steps * run.config.training.batch
    if run.finished:
        return None
    if not run.events:
        return "Its log has no line yet."
    share = f"{run.seen:,} of {total:,} images, {100 * run.seen / total:.0f} %"
    if run.events[-1].kind == "interrupted":
        return f"Interrupted after {share}; the same command goes on."
    return f"Not finished: {share}. It is still in training, or was cut off; then the same command goes on."


def pace(run: Run) -> str | None:
    """How fast it trained, and whether it waited for data."""
    if not run.seconds:
        return None
    waiting = run.curve("train", "waiting")[1]
    waited = f"; {100 * sum(waiting) / len(waiting):.1f} % of the time it waited for data" if waiting else ""
    return f"{run.seen / run.seconds:,.0f} images a second on average{waited}."


def beginning(run: Run) -> list[tuple[str, str]]:
    """When the run was started, and what with, as its log says."""
    starts = run.of("start")
    if not starts:
        return []
    values = dict(starts[0].values)
    values.pop("of", None)
    found = []
    if isinstance(began := values.pop("time", None), int | float):
        found.append(("started", datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC")))
    if len(starts) > 1:
        found.append(("gone on with", "once" if len(starts) == 2 else f"{len(starts) - 1} times"))
    return found + [(key.replace("_", " "), text) for key, text in _flat(values)]


def _flat(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Values of the log by name; those of a group beside its own."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        found += _flat(value) if isinstance(value, dict) else [(key, str(value))]
    return found
