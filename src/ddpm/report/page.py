"""The report page: one self-contained file about a run."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from ddpm import build
from ddpm.records.run_folder import RunFolder
from ddpm.report import charts, commands, evaluations, facts, likelihood, quality, tables
from ddpm.report.canvas import Draw, figure, inline
from ddpm.report.evaluations import Evaluation
from ddpm.report.numbers import measured, percent
from ddpm.report.pictures import Picture, picture, strip
from ddpm.report.reading import Run, read
from ddpm.report.tiles import spread, tiles
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.training import checkpoint as checkpoints


def write(run: Path, out: Path | None = None) -> Path:
    """Write a run's page, ``report.html`` in its folder by default; the same folder gives the same bytes.

    Raises:
        InputError: it is not a run folder, the page cannot be written, or a package it needs is missing.
    """
    path = out or RunFolder(run).report
    html = render(read(run))
    if path.is_dir():
        raise InputError("exists", f"{path} is a folder; use a file name, such as {path / RunFolder(path).report.name}")
    write_file(path, html.encode())
    return path


def render(run: Run) -> str:
    """Render the page as HTML; all text from the run is escaped."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as e:
        raise InputError(
            "missing", 'reports need jinja2, which is not installed; run pip install "ddpm[report]"'
        ) from e
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "measured": measured, "spread": spread}
    template = environment.from_string(files("ddpm.report").joinpath("template.html").read_text(encoding="utf-8"))
    return template.render(page=Page(run), run=run, facts=facts, tables=tables, halves=HALVES)


HALVES = "If there are two halves, the left one uses the raw weights, the right one their average."


@dataclass(frozen=True)
class Page:
    """The computed parts of the page: empty or None if the run has no data for them."""

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
        """Whether the headline evaluated other weights than the run's own."""
        return self.headline is not None and self.headline.score.samples.weights != self.run.weights

    @cached_property
    def samples(self) -> Picture | None:
        e = self.headline
        found = picture(e.folder / "sheet.png", f"Evaluation “{e.name}”: {tables.sampling(e)}.") if e else None
        if found is None and self.run.previews:
            images, path = self.run.previews[-1]
            found = picture(path, f"The preview after {images:,} images. {HALVES}")
        return found

    @cached_property
    def previews(self) -> list[Picture]:
        return strip(self.run.previews) if len(self.run.previews) > 1 else []

    @cached_property
    def closest(self) -> Picture | None:
        return picture(self.headline.folder / "closest.png", "") if self.headline else None

    @cached_property
    def training(self) -> dict[str, str]:
        return _charts(charts.losses(self.run))

    @cached_property
    def schedule(self) -> dict[str, str]:
        config = self.run.config
        schedule = build.build_schedule(config.diffusion)
        made, grid = {str(config.diffusion.schedule): schedule}, build.build_grid(config.sampling, schedule)
        return _charts(
            {
                "Signal and noise at each level": charts.signal_and_noise(made, grid),
                "Signal-to-noise ratio at each level": charts.log_snr(made, grid),
            }
        )

    @cached_property
    def quality(self) -> dict[str, str]:
        panels = {
            "Quality against sampling steps": quality.by_steps(self.run, self.headline),
            "Quality against training": quality.by_training(self.run, self.headline),
        }
        return _charts({caption: draw for caption, draw in panels.items() if draw})

    @cached_property
    def likelihood(self) -> dict[str, str]:
        """Bits per dimension by level, if a bound was measured."""
        record = likelihood.headline(self.run.likelihoods, self.run.weights)
        return _charts(likelihood.panels(record)) if record else {}

    @property
    def best(self) -> tuple[int, float] | None:
        return quality.best(self.run, self.headline)

    @property
    def measure(self) -> str:
        """The command that adds most of what is missing."""
        return commands.measure(self.run.folder)

    @property
    def commands(self) -> list[commands.Command]:
        run = self.run
        found = [commands.train(run.config, run.folder), commands.sample(run.config, run.folder)]
        return found + ([commands.evaluate(self.headline, run.folder)] if self.headline else [])

    @property
    def absent(self) -> dict[str, str]:
        """The missing parts, each with the command that adds it."""
        run, score = self.run, self.headline.score if self.headline else None
        again, measure = str(commands.train(run.config, run.folder)), self.measure
        fewer = f"{measure} --steps {max(1, run.config.sampling.steps // 2)}"
        kept = checkpoints.paths(run.files.checkpoints)
        missing = {
            "samples": (self.samples is None, again),
            "the loss": (not self.training, again),
            "scores": (score is None, measure),
            "bits per dimension": (not run.likelihoods, commands.likelihood(run.folder)),
            "nearest training images": (score is None or score.memorisation is None, measure),
            "quality against sampling steps": ("Quality against sampling steps" not in self.quality, fewer),
            "quality against training": (
                bool(kept) and "Quality against training" not in self.quality,
                commands.measure(kept[0]) if kept else "",
            ),
        }
        return {what: command for what, (is_missing, command) in missing.items() if is_missing}


def _charts(panels: dict[str, Draw]) -> dict[str, str]:
    """Render each panel as SVG, by caption."""
    return {caption: inline(figure(draw), caption) for caption, draw in panels.items()}
