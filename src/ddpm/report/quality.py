"""Choose the evaluation at the top of the page, and plot quality against guidance."""

from ddpm.records.guidance import RECALL_LOSS, GuidanceRecord, GuidanceTrial, kind_of, scale_of
from ddpm.report import charts
from ddpm.report.canvas import Draw
from ddpm.report.reading import Run

GUIDANCE, RECALL = "Fréchet distance against guidance", "Recall against guidance"
LENGTH = "Fréchet distance against the length of the average"


def headline(run: Run) -> str | None:
    """Choose the evaluation at the top of the page: preferably of the run's own weights, then with its default
    settings, then the newest."""

    def rank(name: str) -> tuple[bool, bool]:
        samples = run.evaluations[name].samples
        return samples.weights == run.weights, samples.sampling == run.sampling

    return max(reversed(run.evaluations), key=rank, default=None)


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
