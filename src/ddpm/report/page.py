"""The page: one file that shows a run, and needs nothing else."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from ddpm import build
from ddpm.errors import InputError
from ddpm.report import charts, commands, evaluations, facts, tables
from ddpm.report.canvas import Draw, figure, inline
from ddpm.report.evaluations import Evaluation
from ddpm.report.numbers import measured, percent
from ddpm.report.pictures import Picture, picture, strip
from ddpm.report.reading import Run, read
from ddpm.report.tiles import spread, tiles
from ddpm.training import checkpoint as checkpoints
from ddpm.training.storage import disk_errors, write_file


def write(run: Path, out: Path | None = None) -> Path:
    """Write a run's page, ``report.html`` in its folder by default; the same bytes for the same folder.

    Raises:
        InputError: it is not a run folder, the page cannot be written, or a package that draws it is missing.
    """
    path = out or run / "report.html"
    html = render(read(run))
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the page a name, as in {path / 'report.html'}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, html.encode())
    return path


def render(run: Run) -> str:
    """The page as HTML; all text from the run is escaped."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as e:
        raise InputError('jinja2 writes this and is not installed: pip install "ddpm[report]"') from e
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "measured": measured, "spread": spread}
    template = environment.from_string(files("ddpm.report").joinpath("template.html").read_text(encoding="utf-8"))
    return template.render(page=Page(run), run=run, facts=facts, tables=tables, halves=HALVES)


HALVES = "Where there are two halves, the left one is of the raw weights, the right one of their average."


class Chart(NamedTuple):
    """SVG, and what it shows."""

    svg: str
    caption: str


class Absent(NamedTuple):
    """What the page could show, and how to get it."""

    what: str
    command: str


@dataclass(frozen=True)
class Page:
    """The parts of the page that are worked out: empty or None where the run has nothing for them."""

    run: Run

    @cached_property
    def headline(self) -> Evaluation | None:
        if not self.run.evaluations:
            return None
        return evaluations.headline(self.run.evaluations, self.run.weights, self.run.config.sampling)

    @property
    def tiles(self) -> Any:
        return tiles(self.headline.score) if self.headline else []

    @property
    def stale(self) -> bool:
        """Whether the headline is of other weights than the run's own."""
        return self.headline is not None and self.headline.score.samples.weights != self.run.weights

    @cached_property
    def samples(self) -> Picture | None:
        e = self.headline
        found = picture(e.folder / "sheet.png", f"Evaluation “{e.name}”: {tables.sampling(e)}.") if e else None
        if found is None and self.run.previews:
            newest = self.run.previews[-1]
            found = picture(newest.path, f"The preview after {newest.images:,} images. {HALVES}")
        return found

    @cached_property
    def previews(self) -> list[Picture]:
        return strip(self.run.previews) if len(self.run.previews) > 1 else []

    @cached_property
    def closest(self) -> Picture | None:
        return picture(self.headline.folder / "closest.png", "") if self.headline else None

    @cached_property
    def training(self) -> list[Chart]:
        return [_chart(draw, caption) for caption, draw in charts.losses(self.run).items()]

    @cached_property
    def schedule(self) -> list[Chart]:
        config = self.run.config
        schedule = build.build_schedule(config.diffusion)
        made, grid = {str(config.diffusion.schedule): schedule}, build.build_grid(config.sampling, schedule)
        return [
            _chart(charts.signal_and_noise(made, grid), "Signal and noise at each level"),
            _chart(charts.log_snr(made, grid), "Signal-to-noise ratio at each level"),
        ]

    @cached_property
    def quality(self) -> list[Chart]:
        return [chart for chart in (self._by_steps(), self._by_training()) if chart]

    def _by_steps(self) -> Chart | None:
        ways = evaluations.by_steps(self.run.evaluations, self.headline) if self.headline else []
        if not ways or self.headline is None:
            return None
        points = {
            tables.sampling(way[-1], steps=False): [
                (e.score.samples.sampling.steps, e.score.frechet) for e in way if e.score.samples.sampling
            ]
            for way in ways
        }
        return _chart(charts.by_steps(points, self.headline.score.frechet.floor), "Quality against sampler steps")

    def _by_training(self) -> Chart | None:
        run, found = self.run, self.headline
        stages = evaluations.by_training(run.evaluations, found) if found else []
        evaluated = [(e.score.samples.images_seen or 0, e.score.frechet) for e in stages]
        scores = run.of("score")
        while_training = {}
        for n in dict.fromkeys(e.values.get("n") for e in scores):
            some = [e for e in scores if e.values.get("n") == n and isinstance(e.values.get("frechet"), int | float)]
            if some:
                name = f"while training, {n:,} samples" if isinstance(n, int) else "while training"
                while_training[name] = ([e.images for e in some], [e.values["frechet"] for e in some])
        if not evaluated and not while_training:
            return None
        floor = found.score.frechet.floor if found and evaluated else None
        speed = run.seen / run.seconds if run.seconds else None
        draw = charts.by_training(evaluated, while_training, self.best, floor, speed)
        return _chart(draw, "Quality against training")

    @property
    def best(self) -> tuple[int, float] | None:
        """The best checkpoint: as the run itself saw it, else as the evaluations say. Images seen and distance."""
        seen = [e for e in self.run.of("score") if e.values.get("best") and "frechet" in e.values]
        if seen:
            return seen[-1].images, seen[-1].values["frechet"]
        stages = evaluations.by_training(self.run.evaluations, self.headline) if self.headline else []
        points = [(e.score.frechet.value, e.score.samples.images_seen or 0) for e in stages]
        return (min(points)[1], min(points)[0]) if points else None

    @property
    def measure(self) -> str:
        """The command that fills most of the page."""
        return commands.measure(self.run.folder)

    @property
    def commands(self) -> list[commands.Command]:
        run = self.run
        found = [commands.train(run.config, run.folder), commands.sample(run.config, run.folder)]
        return found + ([commands.evaluate(self.headline, run.folder)] if self.headline else [])

    @property
    def absent(self) -> list[Absent]:
        """What is left out."""
        again = str(commands.train(self.run.config, self.run.folder))
        missing, measure = [], self.measure
        if self.samples is None:
            missing.append(Absent("samples", again))
        if not self.training:
            missing.append(Absent("the loss", again))
        if self.headline is None:
            missing.append(Absent("scores and nearest neighbours", measure))
        else:
            if self.headline.score.memorisation is None:
                missing.append(Absent("nearest neighbours", measure))
            if self._by_steps() is None:
                missing.append(Absent("quality against sampler steps", f"{measure} --steps 10"))
        kept = checkpoints.paths(self.run.folder / "checkpoints")
        if kept and self._by_training() is None:
            missing.append(Absent("quality against training", commands.measure(kept[0])))
        return missing


def _chart(draw: Draw, caption: str) -> Chart:
    return Chart(inline(figure(draw), caption), caption)
