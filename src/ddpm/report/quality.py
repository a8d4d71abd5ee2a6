"""How the quality of samples depends on the sampler's steps and on training."""

import math

from ddpm.report import charts, evaluations, tables
from ddpm.report.canvas import Draw
from ddpm.report.evaluations import Evaluation
from ddpm.report.reading import Run
from ddpm.training.log import Event


def by_steps(run: Run, like: Evaluation | None) -> Draw | None:
    """What evaluations of one measure and one set of weights say; None where all took as many steps."""
    ways = evaluations.by_steps(run.evaluations, like) if like else []
    if not ways or like is None:
        return None
    points = {
        _name(next(iter(way.values())), like): [(steps, e.score.frechet) for steps, e in way.items()] for way in ways
    }
    return charts.by_steps(points, like.score.frechet.floor)


def _name(e: Evaluation, like: Evaluation) -> str:
    """A way of sampling in words; with its labels where they were chosen in another way than the headline's."""
    labels = e.score.samples.labels
    words = tables.sampling(e, steps=False)
    return words if labels == like.score.samples.labels else f"{words}, labels {labels or 'none'}"


def by_training(run: Run, like: Evaluation | None) -> Draw | None:
    """What the run said of itself, and evaluations of its checkpoints; None without either."""
    stages = evaluations.by_training(run.evaluations, like) if like else {}
    evaluated = [(images, e.score.frechet) for images, e in stages.items()]
    seen = _scores(run)
    if not evaluated and not seen:
        return None
    while_training: dict[str, charts.Line] = {}
    for n in dict.fromkeys(e.values.get("n") for e in seen):
        of_n = [e for e in seen if e.values.get("n") == n]
        name = f"while training, {n:,} samples" if isinstance(n, int) else "while training"
        while_training[name] = [e.images for e in of_n], [e.values["frechet"] for e in of_n]
    floor = like.score.frechet.floor if like and evaluated else None
    speed = run.seen / run.seconds if run.seconds else None
    how = next((tables.sampling(e) for e in stages.values()), "")
    return charts.by_training(evaluated, while_training, best(run, like), floor, speed, how)


def best(run: Run, like: Evaluation | None) -> tuple[int, float] | None:
    """Images seen by the best checkpoint, and its distance: as the run itself saw it, else as evaluations say."""
    marked = [e for e in _scores(run) if e.values.get("best")]
    if marked:
        return marked[-1].images, marked[-1].values["frechet"]
    stages = evaluations.by_training(run.evaluations, like) if like else {}
    points = [(e.score.frechet.value, images) for images, e in stages.items()]
    return min(points)[::-1] if points else None


def _scores(run: Run) -> list[Event]:
    """The log's scores that are numbers."""
    found = [(e, e.values.get("frechet")) for e in run.of("score")]
    return [e for e, distance in found if isinstance(distance, int | float) and math.isfinite(distance)]
