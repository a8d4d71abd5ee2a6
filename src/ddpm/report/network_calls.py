"""Quality against network calls: of runs by each way of sampling, and of their students."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.calls import network_calls
from ddpm.report import charts, tables
from ddpm.report.canvas import Draw
from ddpm.report.numbers import measured
from ddpm.report.subjects import Basis, Distance, Subject, shared

CAPTION = "Quality against network calls"
MEANING = (
    "A network call is one evaluation of the network for one image. A guided step makes two, with the label and "
    "without, in one batch; a student has learned its guidance and makes one."
)
FEW, TUNE = "5,10,20", "4,8"
"""The numbers of steps that the suggested commands measure and tune."""
OTHERS = 4
"""The maximum number of ways on the chart, in addition to the default, tuned ones and students; the table has all."""


class WayKind(IntEnum):
    """A run's default way of sampling, tuned levels, a student's own steps, or any other: in the order of a legend."""

    DEFAULT = 0
    TUNED = 1
    STUDENT = 2
    OTHER = 3


LOOKS: dict[WayKind, dict[str, Any]] = {
    WayKind.TUNED: {"marker": "s", "linestyle": (0, (4, 1.5)), "fillstyle": "none"},
    WayKind.STUDENT: {"marker": "D", "markersize": 6},
}
"""The look of some lines; their colour depends on the run."""


@dataclass(frozen=True)
class SampledWay:
    """A way of sampling a run, at one or more numbers of steps.

    Attributes:
        parts: the way in words, part by part.
        points: network calls and distance, ascending.
    """

    subject: Subject
    kind: WayKind
    parts: tuple[str, ...]
    points: tuple[tuple[int, Distance], ...]

    @property
    def words(self) -> str:
        """The way in words: "unipc-2 (default), trailing grid, guidance 1.15"."""
        return ", ".join(self.parts)

    @property
    def least(self) -> float:
        """The lowest distance."""
        return min(found.frechet.value for _, found in self.points)


@dataclass(frozen=True)
class Calls:
    """Distances that can be compared, of one or more runs.

    Attributes:
        subjects: the runs, of which some may have no such distance.
        ways: by run, then by kind, then the best first.
    """

    subjects: tuple[Subject, ...]
    basis: Basis
    ways: tuple[SampledWay, ...]

    @classmethod
    def of(cls, subjects: Sequence[Subject], like: Basis | None) -> "Calls | None":
        """Collect them on one basis, preferably ``like``; None if all have the same number of calls."""
        basis = shared([subject.own for subject in subjects], like)
        if basis is None:
            return None
        ways = [way for subject in subjects for way in _ways(subject, basis, subject.taught_by(subjects))]
        if len({calls for way in ways for calls, _ in way.points}) < 2:
            return None
        return cls(tuple(subjects), basis, tuple(ways))

    @property
    def common(self) -> list[str]:
        """What all ways except those of students and tuned levels have in common, apart from the solver."""
        plain = [way.parts for way in self.ways if way.kind in (WayKind.DEFAULT, WayKind.OTHER)]
        return [part for part in (plain[0][1:] if plain else ()) if all(part in parts for parts in plain)]

    @property
    def drawn(self) -> list[SampledWay]:
        """The ways on the chart."""
        others = sorted((way for way in self.ways if way.kind == WayKind.OTHER), key=lambda way: way.least)[:OTHERS]
        return [way for way in self.ways if way.kind != WayKind.OTHER or way in others]

    @property
    def notes(self) -> str:
        """An explanation of the chart and its measurements."""
        found = [MEANING, f"Distances are those of {self.basis.words}. Bars show 95 % intervals."]
        if any(way.kind == WayKind.OTHER for way in self.ways):
            found.append("The intervals of grey lines are in the table.")
        if self.common:
            found.append(f"Settings of all lines except students: {', '.join(self.common)}.")
        return " ".join(found)

    def panel(self) -> Draw:
        """Plot them, each named by what distinguishes it."""
        several = len(self.subjects) > 1
        curves = []
        for way in self.drawn:
            label = ", ".join(part for part in way.parts if part not in self.common)
            points = [(calls, found.frechet) for calls, found in way.points]
            named = f"{way.subject.name}: {label}" if several else label
            colour = None if way.kind == WayKind.OTHER else self.subjects.index(way.subject)
            curves.append(charts.Series(named, points, colour, LOOKS.get(way.kind, {})))
        return charts.by_calls(curves, self.basis.floor)

    def table(self) -> tables.Table:
        """List all of them."""
        head = ("run", "sampling", "steps", "network calls", "Fréchet distance", "95 % interval")
        rows = [
            (
                way.subject.name,
                way.words,
                str(found.sampling.steps),
                f"{calls:,}",
                measured(found.frechet.value),
                tables.interval(found.frechet),
            )
            for way in self.ways
            for calls, found in way.points
        ]
        return head, rows

    def missing(self) -> dict[str, str]:
        """The measurements that the chart lacks, each with the command that adds it."""
        lacks: dict[str, str] = {}
        for subject in self.subjects:
            ways = [way for way in self.ways if way.subject is subject]
            if not ways:
                lacks[f"{subject.name}, measured like the others"] = evaluate(subject, self.basis)
            if subject.student and not subject.taught_by(self.subjects):
                lacks[f"the teacher of {subject.name}, which was not found"] = with_teacher(subject)
            if not ways or not subject.plain:
                continue
            folder = str(subject.run.folder)
            if not any(way.kind == WayKind.DEFAULT and len(way.points) > 1 for way in ways):
                lacks[f"the default sampler of {subject.name} in fewer steps"] = evaluate(subject, self.basis, FEW)
            if not any(way.kind == WayKind.TUNED for way in ways):
                steps = ",".join(str(how.steps) for how in subject.tuned) or TUNE
                found = "" if subject.tuned else shlex.join(["ddpm", "tune", folder, "--steps", steps]) + " && "
                lacks[f"{subject.name} with tuned levels"] = found + evaluate(subject, self.basis, steps, tuned=True)
            if not any(one.taught_by([subject]) for one in self.subjects):
                distil = ["ddpm", "distill", folder, "--steps", "4", "--out", f"{folder}-fast"]
                lacks[f"a student of {subject.name}"] = shlex.join(distil)
        return lacks


def command(subjects: Sequence[Subject], like: Basis | None) -> str:
    """The command that adds the chart: it measures the first run that takes any number of steps; empty without one."""
    if found := [evaluate(one, like, FEW) for one in subjects if one.plain]:
        return found[0]
    return next((with_teacher(one) for one in subjects if one.student), "")


def with_teacher(student: Subject) -> str:
    """The command that writes a student's page with a teacher that was not found."""
    return f"{shlex.join(['ddpm', 'report', str(student.run.folder)])} TEACHER"


def evaluate(subject: Subject, basis: Basis | None, steps: str = "", *, tuned: bool = False) -> str:
    """The command that measures a run on a basis, in its default way unless ``tuned``."""
    words = ["ddpm", "evaluate", str(subject.run.folder), *(basis.flags(subject.run) if basis else ())]
    words += ["--steps", steps] if steps else []
    # naming the grid turns tuned levels off
    words += ["--grid", subject.run.config.sampling.visits] if subject.tuned and not tuned else []
    return shlex.join(words)


def _ways(subject: Subject, basis: Basis, taught: bool) -> list[SampledWay]:
    """Group a run's distances on a basis by the way of sampling; of several with equal calls, the last counts.

    Args:
        taught: whether the teacher of a student is on the chart.
    """
    found: dict[Any, dict[int, Distance]] = {}
    for distance in subject.own:
        calls = network_calls(subject.run.config, distance.sampling, labelled=distance.labelled)
        if distance.basis == basis and calls is not None:
            found.setdefault((*_way(subject, distance.sampling, taught), distance.labelled), {})[calls] = distance
    ways = [
        SampledWay(subject, kind, parts, tuple(sorted(points.items(), key=lambda point: point[0])))
        for (kind, parts, *_), points in found.items()
    ]
    return sorted(ways, key=lambda way: (way.kind, way.least))


def _way(subject: Subject, how: SamplingConfig, taught: bool) -> tuple[WayKind, tuple[str, ...], Any]:
    """The kind of a way of sampling, its words, and what else distinguishes it, apart from its steps."""
    if subject.is_taught(how):
        words = f"{how.steps}-step student" if taught else subject.run.config.student
        return WayKind.STUDENT, (words,), how.precision
    if subject.is_tuned(how):
        return WayKind.TUNED, ("tuned levels", f"guidance {how.guidance_scale:g}"), how.precision
    alike = how.model_copy(update={"steps": 1})
    solver, *others = tables.parts(how, steps=False)
    if alike == subject.run.sampling.model_copy(update={"steps": 1}):
        return WayKind.DEFAULT, (f"{solver} (default)", *others), None
    return WayKind.OTHER, (solver, *others), alike
