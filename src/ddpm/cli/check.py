"""``ddpm check``."""

import shlex
from typing import Annotated

from cyclopts import Parameter

from ddpm.cli.output import note, say
from ddpm.system.errors import InputError
from ddpm.system.names import Mode

NAMED = 3
"""The unusable files that a note names."""


def check(
    data: str,
    *,
    size: str | None = None,
    mode: Mode | None = None,
    split: str | None = None,
    max_pixels: str | None = None,
    workers: Annotated[int | None, Parameter(show_default=False)] = None,
) -> None:
    """Decode every image and report sizes, modes, classes, problems, and how training would use them.

    Args:
        data: A folder, a .zip of one, an .npz, .tar or .parquet files, or the built-in "digits".
        size: The --size to plan training for: 64, or height x width, as in 48x64.
        mode: The --mode to plan training for.
        split: The --split to plan training for.
        max_pixels: The --max-pixels to plan training for.
        workers: The number of processes that decode; chosen automatically by default.
    """
    from ddpm.config.options import typed
    from ddpm.data.open import open_source
    from ddpm.data.report import describe, warnings
    from ddpm.data.survey import survey
    from ddpm.planning.data import geometry
    from ddpm.planning.latents import advice
    from ddpm.planning.recipes.auto import auto
    from ddpm.planning.request import Request, default_out
    from ddpm.system.console import bar
    from ddpm.system.units import count
    from ddpm.system.units import size as parse_size

    if workers is not None and workers < 0:
        raise InputError("invalid", f"--workers is {workers}; use 0, for this process alone, or more")
    source = open_source(data, split, count(max_pixels, "pixels") if max_pixels else None)
    with bar("reading") as progress:
        found = survey(source, workers=workers, progress=progress)
    say(*describe(source, found))
    note(*warnings(found), wide=10)
    if len(found.bad) > NAMED:  # the note names these many
        say("unusable", *(f"          {name}: {reason}" for name, reason in found.bad.items()))
    found.check(skip_bad=True)
    request = Request(data, size=parse_size(size) if size else None, mode=mode)
    chosen = geometry(found.sizes, found.modes, request)
    assert chosen.size is not None
    height, width = chosen.size
    auto(chosen.size, bool(found.classes))  # refuses sizes that cannot be halved
    how = "unchanged" if list(found.sizes) == [chosen.size] else f"resized with --fit {chosen.fit}"
    conditions = [f"{len(found.classes)} classes"] * bool(found.classes) + ["captions"] * bool(found.captions)
    on = f"conditioned on {' and '.join(conditions)}" if conditions else "unconditional"
    say(f"training  {height} × {width} {chosen.mode}, {how}; {on}")
    if found.bad:
        say("          requires --skip-bad: some files cannot be used")
    if found_advice := advice(data, chosen.size):
        say(f"latents   {found_advice}")
    options = typed({"size": size, "mode": mode, "split": split, "max_pixels": max_pixels})
    say("next      " + shlex.join(["ddpm", "train", data, "--out", str(default_out(data)), "--for", "20m", *options]))
