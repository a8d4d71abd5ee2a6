"""The numbers that a sampler needs next to the networks."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from ddpm.config.guidance import GuidanceConfig
from ddpm.config.text import CLIPTokensConfig, WordsConfig
from ddpm.core import Level
from ddpm.engine.options import settings as resolved
from ddpm.engine.run import LoadedRun
from ddpm.exchange.onnx.graphs import Graph

FORMAT = 1


def sampler(run: LoadedRun, graphs: Iterable[Graph]) -> dict[str, Any]:
    """The contents of sampler.json; docs/exchange.md explains each key."""
    how, config, schedule = resolved(run, {}), run.config, run.engine.schedule
    ticks = [schedule.level(i) for i in range(schedule.T + 1)]
    label, caption = None if run.needs_label else len(config.data.classes), None if run.needs_prompt else 0.0
    given: dict[str, Any] = {"label": label, "caption": caption, **how.conditions}
    defaults = {kind: given.get(kind) for kind in run.engine.model.conditioners}
    inputs = {graph.name: {name: _described(tensor) for name, tensor in graph.inputs.items()} for graph in graphs}
    return {
        "format": FORMAT,
        "writer": f"ddpm {version('ddpm')}",
        "inputs": inputs,
        "defaults": defaults,
        "shape": run.engine.shape,
        "learned_variance": config.diffusion.variance == "learned",
        "mode": config.data.mode,
        "size": config.data.size,
        "range": [-1, 1],
        "premultiplied": config.data.mode == "RGBA" and not config.codec.in_pixels,
        "classes": config.data.classes,
        "vocabulary": _vocabulary(config.text) if isinstance(config.text, WordsConfig) else None,
        "padded": isinstance(config.text, CLIPTokensConfig),
        "prediction": config.diffusion.prediction,
        "solver": how.solver.name,
        "steps": how.steps,
        "clip": how.clip.model_dump(),
        "guidance": _guidance(run, defaults),
        "grid": table(run, run.engine.grid(how)),
        "schedule": table(run, ticks),
    }


def _guidance(run: LoadedRun, defaults: dict[str, Any]) -> dict[str, Any]:
    """Classifier-free guidance: its scale, the interval of sigma / alpha, and the conditions to guide away from."""
    found = classifier_free(run)
    away = None if found is None else found.negative
    return {
        "scale": 1.0 if found is None else found.scale,
        "interval": None if found is None else found.interval,
        "away": defaults if away is None else {**defaults, "label": run.classes.index(away)},
    }


def classifier_free(run: LoadedRun) -> GuidanceConfig | None:
    """The guidance of the run's settings that needs no other network, without its other options; None for none."""
    found = resolved(run, {}).guidance
    if found is None or found.guide is not None or run.learned_guidance:
        return None
    return GuidanceConfig(scale=found.scale, interval=found.interval, away_from=found.away_from)


def table(run: LoadedRun, levels: Iterable[Level]) -> dict[str, list[float]]:
    """Levels as columns: ``x = alpha · x0 + sigma · eps``, and the output for ``scale · x`` and t is
    ``a · x0 + b · eps``."""
    ask = run.engine.parameterisation
    rows = []
    for level in levels:
        a, b = ask.prediction(level)
        factor = 1.0 if ask.scale_in is None else ask.scale_in(level)
        rows.append([float(value) for value in (level.t, level.alpha, level.sigma, factor, a, b)])
    return dict(zip(("t", "alpha", "sigma", "scale", "a", "b"), map(list, zip(*rows, strict=True)), strict=True))


def _described(tensor: Any) -> dict[str, Any]:
    """The type and the shape of an input, without that of the batch."""
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape[1:])}


def _vocabulary(text: WordsConfig) -> dict[str, Any]:
    return {"words": text.words, "characters": text.characters, "length": text.length}
