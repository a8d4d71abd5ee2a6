"""The model card of an exported pipeline."""

from collections.abc import Sequence
from importlib.metadata import version

from ddpm.config.run import RunConfig
from ddpm.records.card import front_matter

TEMPLATE = """\
{front}# {name}

A {pipeline} of {height} × {width} {mode} images, written by `ddpm export` {version}.

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{name}")
image = pipeline({call}).images[0]
```
{notes}"""


def card(config: RunConfig, pipeline: str, name: str, call: str, notes: Sequence[str]) -> str:
    """The card, in Markdown.

    Args:
        pipeline: its class.
        name: of its folder.
        call: the arguments that sample.
        notes: what is different from the run.
    """
    height, width = config.data.size
    return TEMPLATE.format(
        front=front_matter(config, "diffusers", pipeline),
        name=name,
        pipeline=pipeline,
        height=height,
        width=width,
        mode=config.data.mode,
        version=version("ddpm"),
        call=call,
        notes="".join(f"\n- {note}" for note in notes) + "\n" if notes else "",
    )
