"""Quality against training time: by evaluations of checkpoints, and by the scores taken during training."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm.metrics.estimate import Estimate
from ddpm.report import charts, commands, tables
from ddpm.report.canvas import Draw
from ddpm.report.numbers import measured
from ddpm.report.subjects import Basis, Distance, Subject, shared
from ddpm.training import checkpoint as checkpoints

CAPTION = "Quality against training minutes"
MEANING = "Training time excludes previews, scores and checkpoints. For a student, only its distillation is counted."


@dataclass(frozen=True)
class TrainingPoint:
    """The weights at a point of training.

    Attributes:
        frechet: the Fréchet distance; a score taken during training has an interval of length 0.
    """

    images: int
    minutes: float
    frechet: Estimate


@dataclass(frozen=True)
class Course:
    """A run over its training.

    Attributes:
        stages: all measured in the same way, ascending.
    """

    subject: Subject
    words: str
    stages: tuple[TrainingPoint, ...]

    @property
    def best(self) -> int | None:
        """The index of the stage with the lowest distance if its interval is below the last one's, else of the last.

        None for a single stage.
        """
        last = len(self.stages) - 1
        lowest = min(range(last + 1), key=lambda k: self.stages[k].frechet.value)
        surely = self.stages[lowest].frechet.high < self.stages[last].frechet.low
        return (lowest if surely else last) if last else None


@dataclass(frozen=True)
class Panel:
    """Courses that can be compared.

    Attributes:
        subjects: the runs of the page, which determine the colours.
        samples: the number of samples of each distance; None if unknown.
        floor: the distance of the same number of real images; None for scores during training.
    """

    caption: str
    subjects: tuple[Subject, ...]
    samples: int | None
    courses: tuple[Course, ...]
    floor: charts.Floor | None = None

    def draw(self) -> Draw:
        """Plot them."""
        several = len({course.subject.name for course in self.courses}) > 1
        curves = [
            charts.Series(
                f"{course.subject.name}: {course.words}" if several else course.words,
                [(stage.minutes, stage.frechet) for stage in course.stages],
                self.subjects.index(course.subject),
                best=course.best,
            )
            for course in self.courses
        ]
        return charts.by_minutes(curves, self.floor)


def panels(subjects: Sequence[Subject], like: Basis | None) -> list[Panel]:
    """Scores taken during training, one panel for each way of scoring, then evaluations of checkpoints."""
    found = [*_during(subjects), *_evaluated(subjects, like)]
    return [panel for panel in found if sum(len(course.stages) for course in panel.courses) > 1]


def _during(subjects: Sequence[Subject]) -> list[Panel]:
    """Group scores taken during training by samples, steps and real images."""
    groups: dict[Any, dict[Subject, list[TrainingPoint]]] = {}
    for subject in subjects:
        run = subject.run
        for event in run.measured("score", "frechet"):
            seconds, y = run.seconds_at(event.images), event.values["frechet"]
            if seconds is not None:
                steps = run.config.scoring.steps if run.config.scoring else None
                basis = event.values.get("n"), steps, run.config.data.fingerprint
                stage = TrainingPoint(event.images, seconds / 60, Estimate(value=y, low=y, high=y))
                groups.setdefault(basis, {}).setdefault(subject, []).append(stage)
    found = []
    for (n, steps, _), stages in groups.items():
        words = ", ".join(f"{count:,} {noun}" for count, noun in ((n, "samples"), (steps, "steps")) if count)
        courses = tuple(Course(subject, "during training", tuple(one)) for subject, one in stages.items())
        found.append(Panel(f"{CAPTION}, {words}", tuple(subjects), n, courses))
    return found


def _evaluated(subjects: Sequence[Subject], like: Basis | None) -> list[Panel]:
    """Group evaluations on one basis by run, and choose one way of sampling each."""
    timed = [[found for found in subject.distances if found.images and found.seconds] for subject in subjects]
    basis = shared(timed, like)
    if basis is None:
        return []
    chosen = [
        _stages(subject, [d for d in found if d.basis == basis]) for subject, found in zip(subjects, timed, strict=True)
    ]
    # a student with a single stage says nothing about training, and costs more than its own minutes
    courses = tuple(one for one in chosen if one and (len(one.stages) > 1 or not one.subject.student))
    return [Panel(f"{CAPTION}, {basis.n:,} samples", tuple(subjects), basis.n, courses, basis.floor)]


def _stages(subject: Subject, found: Sequence[Distance]) -> Course | None:
    """The distances of one way of sampling: preferably with several stages, then the run's default, then with most."""
    ways: dict[Any, dict[int, Distance]] = {}
    for distance in found:
        if distance.images:
            ways.setdefault((distance.sampling, distance.labelled), {})[distance.images] = distance
    if not ways:
        return None
    how, labelled = max(ways, key=lambda way: (len(ways[way]) > 1, way[0] == subject.run.sampling, len(ways[way])))
    stages = [
        TrainingPoint(images, (one.seconds or 0) / 60, one.frechet)
        for images, one in sorted(ways[how, labelled].items())
    ]
    words = f"{how.steps}-step student" if subject.is_taught(how) else tables.sampling(how)
    return Course(subject, words, tuple(stages))


def table(found: Sequence[Panel]) -> tables.Table:
    """List all stages."""
    head = ("run", "sampling", "samples", "images seen", "minutes", "Fréchet distance", "95 % interval")
    rows = [
        (
            course.subject.name,
            course.words,
            "–" if panel.samples is None else f"{panel.samples:,}",
            f"{stage.images:,}",
            f"{stage.minutes:.2f}",
            measured(stage.frechet.value),
            tables.interval(stage.frechet),
        )
        for panel in found
        for course in panel.courses
        for stage in course.stages
    ]
    return head, rows


def best(subject: Subject, found: Sequence[Panel]) -> int | None:
    """The images seen by the best checkpoint: the one that training marked, or else that of the evaluations."""
    marked = [event.images for event in subject.run.measured("score", "frechet") if event.values.get("best")]
    if marked:
        return marked[-1]
    courses = [course for panel in found for course in panel.courses if course.subject is subject]
    return next((course.stages[course.best].images for course in courses if course.best is not None), None)


def missing(subjects: Sequence[Subject], found: Sequence[Panel], like: Basis | None) -> dict[str, str]:
    """The runs without a course, each with the command that adds one if there is one."""
    drawn = {course.subject.name for panel in found for course in panel.courses}
    lacks = {f"{one.name} over its training": command(one, like) for one in subjects if one.name not in drawn}
    return {what: words for what, words in lacks.items() if words}


def command(subject: Subject, like: Basis | None) -> str:
    """The command that scores a run over its training: its checkpoints, or else a run like it; empty for neither."""
    run = subject.run
    if len(checkpoints.paths(run.files.checkpoints)) > 1 and run.config.upscaling is None:
        flags = like.flags(run) if like else []
        return shlex.join(["ddpm", "evaluate", str(run.folder), *flags, "--checkpoints"])
    if not subject.plain:
        return ""
    return shlex.join([*commands.train(run.config, Path(f"{run.folder}-scored")), "--during-training"])
