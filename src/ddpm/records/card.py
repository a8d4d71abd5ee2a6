"""The model card of a run: README.md in its folder."""

import json
import shlex
from importlib.metadata import version
from pathlib import Path

from ddpm.config.run import RunConfig

TEMPLATE = """\
# {name}

{what} {height} × {width} {mode} images, trained by ddpm {version}.

| | |
|---|---|
| images | {images:,} of `{source}`, plus {held_out:,} held out |
| classes | {classes} |
| network | {network}, {weights:.1f} M weights |
| diffusion | {schedule} schedule of {T} levels, {prediction} prediction, {variance} variance |
| objective | {objective} |
| training | {seen:,} images in batches of {batch}, {precision}, seed {seed} |
| sampling | {solver}, {steps} steps, {grid} grid, guidance {guidance:g} |

```
{command}
```

```python
import ddpm

images = ddpm.load({folder_python}).{call}
```

`config.json` has every setting, `model.safetensors` the averaged weights, `log.jsonl` the training log, `previews/`
samples drawn during training.
"""


def card(config: RunConfig, folder: str, weights: int) -> str:
    """The model card of a run, in Markdown.

    Args:
        folder: the run folder as the user wrote it.
        weights: the number of network parameters.
    """
    data, s = config.data, config.sampling
    first = data.classes[0] if data.classes else None
    what, command, call = "A denoising diffusion model of", f"ddpm sample {shlex.quote(folder)} -n 16", "sample(16"
    if config.upscaling is not None:
        what = f"A denoising diffusion model that enlarges images {config.upscaling.scale} times, to"
        command, call = f"ddpm upscale {shlex.quote(folder)} small.png", 'upscale(["small.png"]'
    return TEMPLATE.format(
        name=Path(folder).absolute().name,
        version=version("ddpm"),
        height=data.size[0],
        width=data.size[1],
        mode=data.mode,
        images=data.images,
        source=data.source,
        held_out=data.held_out,
        classes=", ".join(data.classes) or "none",
        weights=weights / 1e6,
        network=config.network.describe(),
        schedule=config.diffusion.schedule,
        T=config.diffusion.T,
        prediction=config.diffusion.prediction,
        variance=config.diffusion.variance,
        objective=config.aim,
        seen=config.training.images,
        batch=config.training.batch,
        precision=config.training.precision,
        seed=config.training.seed,
        solver=s.solver.name,
        steps=s.steps,
        grid=s.visits,
        guidance=s.guidance_scale,
        what=what,
        command=command + (f" --label {shlex.quote(first)}" if first else ""),
        folder_python=json.dumps(folder),
        call=call + (f", label={json.dumps(first)})" if first else ")"),
    )
