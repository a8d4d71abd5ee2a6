"""Choose which evaluations of a run to show, and plot quality against sampling steps and against training."""

from typing import Any

from ddpm.records.guidance import RECALL_LOSS, GuidanceRecord, GuidanceTrial, kind_of, scale_of
from ddpm.records.score import Score
from ddpm.report import charts, tables
from ddpm.report.canvas import Draw
from ddpm.report.reading import Run

STEPS, TRAINING = "Quality against sampling steps", "Quality against training"
GUIDANCE, RECALL = "Fréchet distance against guidance", "Recall against guidance"
LENGTH = "Fréchet distance against the length of the average"


def headline(run: Run) -> str | None:
    """Choose the evaluation at the top of the page: preferably of the run's own weights, then with its default
    settings, then the newest."""

    def rank(name: str) -> tuple[bool, bool]:
        samples = run.evaluations[name].samples
        return samples.weights == run.weights, samples.sampling == run.sampling

    return max(reversed(run.evaluations), key=rank, default=None)


def panels(run: Run, like: Score | None) -> dict[str, Draw]:
    """Plot quality, next to the headline's score: caption -> panel."""
    made = {STEPS: by_steps(run, like), TRAINING: by_training(run, like)}
    return {caption: draw for caption, draw in made.items() if draw} | by_guidance(run.guidance)


def by_guidance(found: GuidanceRecord | None) -> dict[str, Draw]:
    """Plot the search for guidance, with a line for each interval and kind: caption -> panel; empty without one."""
    if found is None:
        return {}
    kinds: dict[str, list[GuidanceTrial]] = {}
    for trial in sorted(found.trials, key=lambda trial: scale_of(trial.guidance)):
        kinds.setdefault(kind_of(trial.guidance) or "at all noise", []).append(trial)
    made = {}
    for caption, name in ((GUIDANCE, "frechet"), (RECALL, "recall")):
        lines = {
            kind: [(scale_of(trial.guidance), getattr(trial, name)) for trial in trials]
            for kind, trials in kinds.items()
        }
        chosen = scale_of(found.best.guidance), getattr(found.best, name).value
        least = found.first.recall.value - RECALL_LOSS if name == "recall" else None
        made[caption] = charts.by_guidance(lines, chosen, least)
    return made | by_length(found)


def by_length(found: GuidanceRecord) -> dict[str, Draw]:
    """Plot the averages that were compared, with the intervals of their difference from the run's own weights."""
    if not found.lengths:
        return {}
    own, *others = found.lengths
    points = [(t.length, t.change.above(own.frechet.value)) for t in others if t.length is not None]
    chosen = None if found.average is None else found.average.length
    return {LENGTH: charts.by_length(sorted(points, key=lambda point: point[0]), own.frechet.value, chosen)}


def by_steps(run: Run, like: Score | None) -> Draw | None:
    """Plot evaluations of one measure and one set of weights, with a line for each way of sampling.

    None if all took the same number of steps.
    """
    ways: dict[Any, dict[int, Score]] = {}
    for score in run.evaluations.values():
        s = score.samples
        if like and s.sampling and score.measure == like.measure and s.weights == like.samples.weights:
            way = s.sampling.model_copy(update={"steps": 1}), s.labels
            ways.setdefault(way, {})[s.sampling.steps] = score
    points = {}
    for (how, labels), found in ways.items():
        if like and len(found) > 1:
            other = "" if labels == like.samples.labels else f", labels {labels or 'none'}"
            line = [(steps, found[steps].frechet) for steps in sorted(found)]
            points[tables.sampling(how, steps=False) + other] = line
    return charts.by_steps(points, like.frechet.floor) if like and points else None


def by_training(run: Run, like: Score | None) -> Draw | None:
    """Plot scores taken during training and evaluations of checkpoints; None without either."""
    stages, seen = _stages(run, like), run.measured("score", "frechet")
    if not stages and not seen:
        return None
    while_training: dict[str, charts.Line] = {}
    for n in dict.fromkeys(e.values.get("n") for e in seen):
        of_n = [e for e in seen if e.values.get("n") == n]
        name = f"during training, {n:,} samples" if isinstance(n, int) else "during training"
        while_training[name] = [e.images for e in of_n], [e.values["frechet"] for e in of_n]
    evaluated = [(images, score.frechet) for images, score in stages.items()]
    floor = like.frechet.floor if like and stages else None
    speed = run.seen / run.seconds if run.seconds else None
    how = next((tables.sampling(score.samples.sampling) for score in stages.values()), "")
    return charts.by_training(evaluated, while_training, best(run, like), floor, speed, how)


def best(run: Run, like: Score | None) -> tuple[int, float] | None:
    """Find images seen and distance of the best checkpoint: by scores during training, else by evaluations."""
    marked = [e for e in run.measured("score", "frechet") if e.values.get("best")]
    if marked:
        return marked[-1].images, marked[-1].values["frechet"]
    points = [(score.frechet.value, images) for images, score in _stages(run, like).items()]
    return min(points)[::-1] if points else None


def _stages(run: Run, like: Score | None) -> dict[int, Score]:
    """Select evaluations of one measure and way of sampling at different stages: images seen -> score, ascending.

    That way is the one of ``like``, or else the one with most stages.
    """
    ways: dict[Any, dict[int, Score]] = {}
    for score in run.evaluations.values():
        s = score.samples
        if like and s.images_seen and score.measure == like.measure:
            ways.setdefault((s.sampling, s.labels), {})[s.images_seen] = score
    own = (like.samples.sampling, like.samples.labels) if like else None
    several = {way: stages for way, stages in ways.items() if len(stages) > 1}
    chosen = max(several, key=lambda way: (way == own, len(several[way])), default=None)
    return dict(sorted(several[chosen].items())) if chosen else {}
