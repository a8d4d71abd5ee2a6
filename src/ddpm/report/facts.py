"""Describe a run in words."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddpm.config.run import IMPORTED
from ddpm.report.numbers import amount
from ddpm.report.reading import Run
from ddpm.system.units import say_seconds


def sentence(run: Run) -> str:
    """Describe the model, its data and its training."""
    data, net, student = run.config.data, run.config.network, run.config.student
    classes = f" in {len(data.classes)} classes" if data.classes else ""
    captions = "" if run.config.text is None else f" with captions ({run.config.text.summary})"
    epochs = f" ({run.seen / data.images:.1f} epochs)" if data.images and run.seen else ""
    model = "A diffusion model" if run.config.codec.in_pixels else "A latent diffusion model"
    if run.config.recipe == IMPORTED:
        origin = "Imported from another program"
    elif student:
        origin = f"Distilled on {_trained(run)}"
    else:
        source = Path(data.source).name or data.source
        origin = f"Trained on {data.images:,} images from {source}: {_trained(run, epochs)}"
    return (
        f"{f'The {student},' if student else model} for {data.size[0]} × {data.size[1]} {data.mode} "
        f"images{classes}{captions}: {net.describe()}, {amount(run.parameters)} parameters. {origin}."
    )


def brief(run: Run) -> str:
    """Describe a run among others: what it is and how long it was trained."""
    model = f"{run.config.network.describe()}, {amount(run.parameters)} parameters"
    return f"{run.config.student or model}; {'imported' if run.config.recipe == IMPORTED else _trained(run)}"


def _trained(run: Run, epochs: str = "") -> str:
    """The amount of training; a student sees noise with labels, not images."""
    time = f" in {say_seconds(run.seconds)}" if run.seconds else ""
    return f"{run.seen:,} {'noise samples' if run.config.student else 'images seen'}{epochs}{time}"


def state(run: Run) -> str | None:
    """Say why the run is unfinished, or None if it is finished."""
    total = run.config.training.steps * run.config.training.batch
    if run.finished or run.config.recipe == IMPORTED:
        return None
    if not run.events:
        return "The log is still empty."
    share = f"{run.seen:,} of {total:,} images, {100 * run.seen / total:.0f} %"
    if run.events[-1].kind == "interrupted":
        return f"Interrupted after {share}; re-run the same command to resume."
    return f"Not finished: {share}. If training was killed, re-run the same command to resume."


def pace(run: Run) -> str | None:
    """Describe the training speed and the time spent waiting for data."""
    if not run.seconds:
        return None
    waiting = run.curve("train", "waiting")[1]
    waited = f"; {100 * sum(waiting) / len(waiting):.1f} % of the time spent waiting for data" if waiting else ""
    return f"{run.seen / run.seconds:,.0f} images per second on average{waited}."


def beginning(run: Run) -> list[tuple[str, str]]:
    """List when the run was started and resumed, and on what, from its log."""
    starts = run.of("start")
    if not starts:
        return []
    values = dict(starts[0].values)
    values.pop("of", None)
    found = []
    if isinstance(began := values.pop("time", None), int | float):
        found.append(("started", datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC")))
    if len(starts) > 1:
        found.append(("resumed", "once" if len(starts) == 2 else f"{len(starts) - 1} times"))
    return found + [(key.replace("_", " "), text) for key, text in _flat(values)]


def _flat(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Flatten the values of a log entry to (name, text)."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        found += _flat(value) if isinstance(value, dict) else [(key, str(value))]
    return found
