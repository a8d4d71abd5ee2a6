"""Plot the quality of samples against sampling steps and against training."""

import math

from ddpm.report import charts, evaluations, tables
from ddpm.report.canvas import Draw
from ddpm.report.evaluations import Evaluation
from ddpm.report.reading import Run
from ddpm.training.log import Event


def by_steps(run: Run, like: Evaluation | None) -> Draw | None:
    """Plot evaluations of one measure and one set of weights; None if all took the same number of steps."""
    ways = evaluations.by_steps(run.evaluations, like) if like else []
    if not ways or like is None:
        return None
    points = {
        _name(next(iter(way.values())), like): [(steps, e.score.frechet) for steps, e in way.items()] for way in ways
    }
    return charts.by_steps(points, like.score.frechet.floor)


def _name(e: Evaluation, like: Evaluation) -> str:
    """Name a way of sampling, with its labels if they were chosen differently from the headline's."""
    labels = e.score.samples.labels
    words = tables.sampling(e, steps=False)
    return words if labels == like.score.samples.labels else f"{words}, labels {labels or 'none'}"


def by_training(run: Run, like: Evaluation | None) -> Draw | None:
    """Plot scores taken during training and evaluations of checkpoints; None without either."""
    stages = evaluations.by_training(run.evaluations, like) if like else {}
    evaluated = [(images, e.score.frechet) for images, e in stages.items()]
    seen = _scores(run)
    if not evaluated and not seen:
        return None
    while_training: dict[str, charts.Line] = {}
    for n in dict.fromkeys(e.values.get("n") for e in seen):
        of_n = [e for e in seen if e.values.get("n") == n]
        name = f"during training, {n:,} samples" if isinstance(n, int) else "during training"
        while_training[name] = [e.images for e in of_n], [e.values["frechet"] for e in of_n]
    floor = like.score.frechet.floor if like and evaluated else None
    speed = run.seen / run.seconds if run.seconds else None
    how = next((tables.sampling(e) for e in stages.values()), "")
    return charts.by_training(evaluated, while_training, best(run, like), floor, speed, how)


def best(run: Run, like: Evaluation | None) -> tuple[int, float] | None:
    """Find images seen and distance of the best checkpoint: by scores during training, else by evaluations."""
    marked = [e for e in _scores(run) if e.values.get("best")]
    if marked:
        return marked[-1].images, marked[-1].values["frechet"]
    stages = evaluations.by_training(run.evaluations, like) if like else {}
    points = [(e.score.frechet.value, images) for images, e in stages.items()]
    return min(points)[::-1] if points else None


def _scores(run: Run) -> list[Event]:
    """The scores in the log that are finite."""
    found = [(e, e.values.get("frechet")) for e in run.of("score")]
    return [e for e, distance in found if isinstance(distance, int | float) and math.isfinite(distance)]
