"""The tables of a page."""

from collections.abc import Sequence
from typing import Any

from ddpm.config.options import flat
from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.likelihood import BitsRecord
from ddpm.records.score import Accuracy, Memorisation, Score
from ddpm.report.numbers import measured, percent, signed, spread
from ddpm.report.reading import Run
from ddpm.system.units import say_count

CHANNELS = {"L": ("grey",), "RGB": ("red", "green", "blue"), "RGBA": ("red", "green", "blue", "alpha")}


Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""The head of a table, which may be empty, and its rows of text, the first cell of each its header."""


def colour(run: Run, headline: str | None) -> tuple[Table, str] | None:
    """Tabulate the mean and standard deviation of each channel, next to the real images', and name the samples."""
    if headline is not None:
        score = run.evaluations[headline]
        c = score.colour
        mean, std, of = c.mean, c.std, f"{score.measure.n:,} samples of “{headline}”"
        real_mean, real_std = c.reference_mean, c.reference_std
    else:
        seen = [e for e in run.of("preview") if {"mean", "std"} <= e.values.keys()]
        real_mean, real_std = run.config.data.mean, run.config.data.std
        if not seen or not real_mean:
            return None
        mean, std, of = seen[-1].values["mean"], seen[-1].values["std"], "the samples of the latest preview"
    names = CHANNELS[run.config.data.mode]
    rows = [
        (name, signed(m), signed(rm), signed(m - rm), measured(s), measured(rs), signed(s - rs))
        for name, m, rm, s, rs in zip(names, mean, real_mean, std, real_std, strict=False)
    ]
    return (("channel", "mean", "real", "difference", "std", "real", "difference"), rows), of


def evaluations(run: Run) -> Table:
    """List every evaluation, newest first."""
    head = ("evaluation", "images seen", "solver", "steps", "guidance", "n", "features", "Fréchet distance", "KID")
    rows = [_row(name, score) for name, score in reversed(run.evaluations.items())]
    return (*head, "precision", "recall", "coverage", "copies"), rows


def _row(name: str, score: Score) -> tuple[str, ...]:
    samples, how = score.samples, score.samples.sampling
    return (
        name,
        f"{samples.images_seen:,}" if samples.images_seen is not None else "–",
        *((how.solver.name, str(how.steps), f"{how.guidance_scale:g}") if how else ("–", "–", "–")),
        f"{score.measure.n:,}",
        score.measure.features.name,
        f"{measured(score.frechet.value)} ({spread(score.frechet)})",
        measured(score.kid.value),
        *(percent(share.value) for share in (score.precision, score.recall, score.coverage)),
        percent(score.memorisation.rate.value) if score.memorisation else "–",
    )


def likelihood(run: Run) -> Table:
    """List every measurement of bits per dimension, newest first."""
    head = ("images", "images seen", "labels", "method", "bits per dimension", "prior", "KL", "decoder", "calls")
    return head, [_bits(record) for record in reversed(run.likelihoods)]


def _bits(r: BitsRecord) -> tuple[str, ...]:
    how = r.how
    method = "ODE" if how.method == "ode" else f"bound, {how.steps:,} steps, {how.variance} variance"
    return (
        f"{r.n:,} {'held-out' if r.held_out else f'from {r.data.source}'}",
        f"{r.images_seen:,}" if r.images_seen is not None else "–",
        "yes" if r.labels else "–",
        f"{method}, {how.terms:,} terms sampled" if how.terms else method,
        f"{r.mean:.3f} ± {r.stderr:.3f}",
        *("–" if part is None else f"{part:.3f}" for part in (r.prior, r.kl, r.decoder)),
        f"{r.calls:,.0f}",
    )


def interval(found: Estimate) -> str:
    """Format an interval; a dash for a number without one."""
    return "–" if found.low == found.high else spread(found)


def sampling(how: SamplingConfig | None) -> str:
    """Describe a way of sampling; empty for images of unknown origin."""
    return "" if how is None else ", ".join(parts(how))


def parts(how: SamplingConfig, steps: bool = True) -> list[str]:
    """Describe a way of sampling part by part, the solver first, with or without its number of steps."""
    grid = f"{how.visits} grid" if steps or isinstance(how.grid, str) else "listed levels"
    found = [how.solver.name, say_count(how.steps, "step") if steps else "", grid]
    found += [f"guidance {how.guidance_scale:g}", "" if how.clips else "unclipped"]
    usual = {"solver", "steps", "grid", "guidance", "clip"}
    given = {name: value for name, value in flat(how).items() if name not in usual and value is not None}
    found += [f"{name.replace('_', ' ')} {_words(value)}" for name, value in given.items()]
    return [part for part in found if part]


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def closest(copies: Memorisation, most: int = 12) -> Table:
    """List the closest pairs of a sample and a training image."""
    pairs = copies.closest[:most]
    rows = [(p.sample, p.training, measured(p.distance), "copy" if p.copied else "") for p in pairs]
    return ("sample", "training image", "relative distance", ""), rows


def classes(accuracy: Accuracy) -> Table:
    """List the accuracy of each class."""
    return ("class", "accuracy"), [(name, percent(share)) for name, share in accuracy.by_class.items()]


def settings(run: Run) -> dict[str, Table]:
    """List all of config.json, group by group, with the guidance that the run samples with."""
    tree = run.config.model_dump(mode="json") | {"sampling": run.sampling.model_dump(mode="json")}
    groups = {name: value for name, value in tree.items() if isinstance(value, dict) and value}
    plain = {name: value for name, value in tree.items() if not isinstance(value, dict)}
    return {
        name: ((), [(key, _text(value)) for key, value in group.items()])
        for name, group in {"run": plain, **groups}.items()
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        given = [(key, one) for key, one in value.items() if one is not None]
        return ", ".join(_text(one) if key in ("name", "kind") else f"{key} {_text(one)}" for key, one in given)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)
