"""The report page: one self-contained file about a run."""

import base64
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from ddpm import build
from ddpm.engine.trajectory import spread as spread_over
from ddpm.images.sheets import png
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import CLOSEST, SHEET, Score
from ddpm.report import alignment, charts, commands, facts, likelihood, network_calls, quality, tables, training_time
from ddpm.report.canvas import SIZE, TALL, Draw, figure, inline
from ddpm.report.numbers import measured, percent, spread
from ddpm.report.reading import Run, read, readable
from ddpm.report.subjects import Basis, Subject, subjects
from ddpm.report.tiles import tiles
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.text.weighting import escape

HALVES = "If there are two halves, the left one uses the raw weights, the right one their average."
WIDE = 900
"""The width in pixels up to which small pictures are enlarged."""
PREVIEWS = 8
"""The most previews on a page, spread over training, including the first and the last."""


def write(run: Path, out: Path | None = None, others: Sequence[Path] = ()) -> Path:
    """Write a run's page, ``report.html`` in its folder by default; the same folder gives the same bytes.

    Args:
        others: runs to compare it with, such as its students.

    Raises:
        InputError: it is not a run folder, the page cannot be written, or a package it needs is missing.
    """
    path = out or RunFolder(run).report
    if path.is_dir():
        raise InputError("exists", f"{path} is a folder; use a file name, such as {path / RunFolder(path).report.name}")
    write_file(path, render(read(run), [read(other) for other in others]).encode())
    return path


def render(run: Run, others: Sequence[Run] = ()) -> str:
    """Render the page as HTML, with charts of the other runs too; all text from the runs is escaped."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as e:
        raise InputError(
            "missing", 'reports need jinja2, which is not installed; run pip install "ddpm[report]"'
        ) from e
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "measured": measured, "spread": spread, "quote": shlex.quote}
    template = environment.from_string(files("ddpm.report").joinpath("template.html").read_text(encoding="utf-8"))
    headline = quality.headline(run)
    score = None if headline is None else run.evaluations[headline]
    closest = None if headline is None else run.files.evaluations / headline / CLOSEST
    group, like = subjects([run, *others]), Basis.of(score) if score else None
    calls, courses = network_calls.Calls.of(group, like), training_time.panels(group, like)
    missing = calls.missing() if calls else {}
    missing |= training_time.missing(group, courses, like) if courses else {}
    bound = likelihood.headline(run.likelihoods, run.weights) if run.likelihoods else None
    schedule = build.build_schedule(run.config.diffusion)
    schedules, grid = {str(run.config.diffusion.schedule): schedule}, build.build_grid(run.config.sampling, schedule)
    shown = {
        "samples": _samples(run, headline),
        "training": _charts(charts.losses(run)),
        "calls": {network_calls.CAPTION: inline(figure(calls.panel(), height=TALL), network_calls.CAPTION)}
        if calls
        else {},
        "minutes": _charts({panel.caption: panel.draw() for panel in courses}),
        "guidance": _charts(quality.by_guidance(run.guidance)),
        "schedule": _charts(charts.schedule(schedules, grid)),
        "likelihood": _charts(likelihood.panels(bound)) if bound else {},
        "captions": _charts(alignment.panels(run.alignment)) if run.alignment else {},
    }
    return template.render(
        run=run,
        facts=facts,
        tables=tables,
        alignment=alignment,
        picture=picture,
        embedded=embedded,
        halves=HALVES,
        headline=headline,
        score=score,
        tiles=tiles(score) if score else [],
        previews=[run.previews[i] for i in spread_over(len(run.previews) - 1, PREVIEWS)] if run.previews else [],
        closest=closest if closest and readable(closest) else None,
        group=group,
        by_calls=calls,
        by_minutes=training_time.table(courses) if courses else None,
        minutes_note=training_time.MEANING,
        incomplete=missing,
        best=training_time.best(group[0], courses),
        measure=_command("evaluate", run.folder),
        commands=_commands(run, score, headline),
        absent=_absent(group, score, shown),
        **shown,
    )


def picture(path: Path, alt: str, wide: int = WIDE) -> str:
    """Embed a PNG, enlarged by a whole factor to about this width on a wide screen."""
    with Image.open(path) as image:
        size = image.size
    return _tag(path.read_bytes(), size, alt, wide)


def embedded(image: Image.Image, alt: str, wide: int = WIDE) -> str:
    """Embed a picture in memory, as :func:`picture` does."""
    return _tag(png(image), image.size, alt, wide)


def _tag(data: bytes, size: tuple[int, int], alt: str, wide: int) -> str:
    from markupsafe import Markup

    width, height = size
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    tag = Markup('<img src="{}" width="{}" height="{}" alt="{}" style="width: {}px">')
    return tag.format(uri, width, height, alt, width * max(1, wide // width))


def _samples(run: Run, headline: str | None) -> tuple[Path, str] | None:
    """The picture of the headline's samples, or else of the latest preview, and its caption."""
    sheet = run.files.evaluations / (headline or "") / SHEET
    if headline is not None and readable(sheet):
        how = tables.sampling(run.evaluations[headline].samples.sampling)
        return sheet, f"Evaluation “{headline}”: {how}."
    if not run.previews:
        return None
    images, path = run.previews[-1]
    return path, f"The preview after {images:,} images. {HALVES}"


def _charts(panels: Mapping[str, Draw], height: float = SIZE[1]) -> dict[str, str]:
    """Render each panel as SVG, by caption."""
    return {caption: inline(figure(draw, height=height), caption) for caption, draw in panels.items()}


def _command(name: str, what: Path) -> str:
    """The shortest command on a run or a checkpoint."""
    return shlex.join(("ddpm", name, str(what)))


def _commands(run: Run, score: Score | None, headline: str | None) -> dict[str, list[str]]:
    """The commands that reproduce the page, by what they do."""
    again = "draw samples" if run.config.upscaling is None else "enlarge a picture"
    begin = "train" if run.config.distillation is None else "distil"
    prompts = run.alignment.prompts if run.alignment is not None and run.config.guides else ()
    sample = commands.sample(run.config, run.folder, escape(prompts[0]) if prompts else None)
    made = {begin: commands.train(run.config, run.folder), again: sample}
    return made | ({f"repeat the evaluation “{headline}”": commands.evaluate(score, run.folder)} if score else {})


def _absent(group: Sequence[Subject], score: Score | None, shown: Mapping[str, Any]) -> dict[str, str]:
    """The missing parts of the first run's page, each with the command that adds it if there is one."""
    run, like = group[0].run, Basis.of(score) if score else None
    again, measure = shlex.join(commands.train(run.config, run.folder)), _command("evaluate", run.folder)
    bits = "" if group[0].student else _command("likelihood", run.folder)
    captions = "" if run.config.text is None or group[0].student else _command("alignment", run.folder)
    missing = {
        "samples": (shown["samples"] is None, again),
        "the loss": (not shown["training"], again),
        "scores": (score is None, measure),
        "bits per dimension": (not run.likelihoods, bits),
        "how well it follows captions": (run.alignment is None, captions),
        "nearest training images": (score is None or score.memorisation is None, measure),
        network_calls.CAPTION: (not shown["calls"], network_calls.command(group, like)),
        training_time.CAPTION: (not shown["minutes"], training_time.command(group[0], like)),
    }
    return {what: command for what, (is_missing, command) in missing.items() if is_missing and command}
