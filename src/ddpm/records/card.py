"""The model card of a run: README.md in its folder."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from ddpm.config.options import typed
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.training import TrainSettings
from ddpm.records.guidance import GuidanceRecord, words
from ddpm.records.run_folder import RunFolder
from ddpm.system.files import read_file, write_file
from ddpm.system.names import listed

FRONT = """\
---
library_name: {library}
pipeline_tag: {task}
tags:
{tags}
---
"""
"""The metadata of a model card that huggingface.co reads."""
TEMPLATE = """\
{front}# {name}

{what} {data.size[0]} × {data.size[1]} {data.mode} images, {origin} by ddpm {version}.

| | |
|---|---|
{rows}

```
{command}
```

```python
import ddpm

images = ddpm.load({folder}).{call}
```

`config.json` has every setting, `model.safetensors` the {weights}.
"""
TRAINED = """averaged weights, `log.jsonl` the training log, `previews/`
samples drawn during training; `guidance.json`, if there is one, the search that found the guidance"""


def card(config: RunConfig, folder: str, weights: int, prompt: str | None = None) -> str:
    """The model card of a run, in Markdown.

    Args:
        folder: the run folder as the user wrote it.
        weights: the number of network parameters.
        prompt: an example prompt, instead of an example class.
    """
    given = {"prompt": prompt} if prompt is not None else {"label": (*config.data.classes, None)[0]}
    what, command, call = "A denoising diffusion model of", f"ddpm sample {shlex.quote(folder)} -n 16", "sample(16"
    if not config.codec.in_pixels:
        what = "A latent diffusion model of"
    if config.upscaling is not None:
        what = f"A denoising diffusion model that enlarges images {config.upscaling.scale} times, to"
        command, call = f"ddpm upscale {shlex.quote(folder)} small.png", 'upscale(["small.png"]'
    imported = config.recipe == IMPORTED
    return TEMPLATE.format(
        front=front_matter(config, "ddpm"),
        data=config.data,
        name=Path(folder).absolute().name,
        version=version("ddpm"),
        what=what,
        origin="converted from another program's files" if imported else "trained",
        rows="\n".join(f"| {title} | {text} |" for title, text in _rows(config, weights)),
        weights="weights" if imported else TRAINED,
        command=" ".join([command, *map(shlex.quote, typed(given))]),
        folder=json.dumps(folder),
        call=", ".join([call, *(f"{name}={json.dumps(value)}" for name, value in given.items() if value)]) + ")",
    )


def _rows(config: RunConfig, weights: int) -> Iterator[tuple[str, str]]:
    """The table of the run's settings: titles and texts."""
    data, d, training, imported = config.data, config.diffusion, config.training, config.recipe == IMPORTED
    if data.source:
        yield "images", f"{data.images:,} of `{data.source}`, plus {data.held_out:,} held out"
    yield "classes", listed(data.classes) or "none"
    if config.text is not None:
        yield "captions", config.text.summary
    yield "network", f"{config.network.describe()}, {weights / 1e6:.1f} M parameters"
    yield "diffusion", f"{d.schedule} schedule of {d.T} levels, {d.prediction} prediction, {d.variance} variance"
    if not imported:
        yield "objective", config.aim
        yield "training", _training(training)
    yield "sampling", _sampling(config.sampling, words(config.sampling.guidance))


def front_matter(config: RunConfig, library: str, *tags: str) -> str:
    """The YAML at the top of a model card: which library opens the model, and what it is for."""
    task = "unconditional-image-generation" if config.text is None else "text-to-image"
    if config.upscaling is not None:
        task = "image-to-image"
    lines = "\n".join(f"- {tag}" for tag in ("diffusion", "pytorch", *tags))
    return FRONT.format(library=library, task=task, tags=lines)


def adopt(run: RunFolder, found: GuidanceRecord) -> None:
    """Write the result of a search into the run folder, and name it in the model card, leaving the rest unchanged."""
    guidance = words(found.chosen)
    if found.average is not None:
        guidance += f", average of length {found.average.length:g}"
    _change(run.card, "sampling", _sampling(run.config().sampling, guidance))
    found.write(run.guidance_file)  # last, so that a killed command repeats both


def lengthen(run: RunFolder, config: RunConfig) -> None:
    """Write the config of a run that trains for longer, and name the length in the model card."""
    _change(run.card, "training", _training(config.training))
    config.write(run.config_file)  # last, so that a killed command repeats both


def _change(card: Path, title: str, text: str) -> None:
    """Replace a row of a model card's table."""
    with suppress(OSError):  # a card that was removed, or is no longer a file
        whole = read_file(card).decode(errors="surrogateescape")
        row = re.compile(rf"^\| {title} \|.*$", re.MULTILINE)
        write_file(card, row.sub(lambda _: f"| {title} | {text} |", whole, count=1).encode(errors="surrogateescape"))


def _training(s: TrainSettings) -> str:
    """The amount of training."""
    return f"{s.images:,} images in batches of {s.batch}, {s.precision}, seed {s.seed}"


def _sampling(how: SamplingConfig, guidance: str) -> str:
    """The settings to sample with."""
    return f"{how.solver.name}, {how.steps} steps, {how.visits} grid, guidance {guidance}"
