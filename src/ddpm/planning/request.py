"""A user's request for a run, from flags or keywords."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

from ddpm.config.options import options
from ddpm.config.run import RunConfig
from ddpm.data.locations import is_remote
from ddpm.data.shards import KINDS
from ddpm.planning.assignments import assignments
from ddpm.system.errors import InputError
from ddpm.system.files import read_given, with_home
from ddpm.system.names import Fit, Mode, suggest
from ddpm.system.tree import groups, hints
from ddpm.system.units import count, duration, size

FLAGS = (
    *("recipe", "scale", "low", "size", "mode", "fit"),
    *("skip_bad", "split", "max_pixels"),
    *("labels", "text", "no_text", "betas", "precision", "codec", "during_training", "tune_guidance"),
    *("factor", "latent_channels", "adversarial", "lpips"),
)
"""Flags of ``ddpm train`` that set more than one key of the config, except the budget."""
KEYS = {
    name: ".".join(option.paths[0]) for name, option in options(RunConfig).items() if option.paths[0][0] != "sampling"
}
"""Flags that are keys of the config."""


@dataclass(frozen=True)
class Request:
    """A user's request for a run; None where the plan may choose.

    Attributes:
        data: a path, or "digits".
        seconds, images: the budget; at most one of the two.
        size, mode, fit: how to resize and convert the images.
        skip_bad: whether to skip images that cannot be read.
        split: which of the folders train, val and test to train on.
        max_pixels: the largest number of pixels of an image to decode.
        labels: whether to condition on the classes, if there are any.
        text: how to encode captions: "words", or a frozen encoder by name or folder; None for words if there are any.
        captions: whether to condition on the captions, if there are any.
        scoring: whether to score the run during training.
        guidance_search: whether to search for guidance at the end; None if the run is long enough.
        scale, low: for super-resolution: the factor to enlarge by, and the source of the small images.
        codec: the folder of an autoencoder, whose latents the run models; None for pixels.
        changes: dotted keys of the config and their values: {"training.batch": 64}.
    """

    data: str
    seconds: float | None = None
    images: int | None = None
    recipe: str = "auto"
    size: tuple[int, int] | None = None
    mode: Mode | None = None
    fit: Fit = "crop"
    skip_bad: bool = False
    split: str | None = None
    max_pixels: int | None = None
    labels: bool = True
    text: str | None = None
    captions: bool = True
    scoring: bool = False
    guidance_search: bool | None = None
    scale: int | None = None
    low: str | None = None
    codec: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: str, given: Mapping[str, Any]) -> Self:
        """The request of the given flags of ``ddpm train``, by name.

        Raises:
            InputError: a value is invalid, or two flags exclude each other.
        """
        refuse_two_budgets(given)
        recipe = given.get("recipe", "auto")
        for flag in ("scale", "low"):
            if flag in given and recipe != "super-resolution":
                raise InputError("conflict", f"--{flag} requires --recipe super-resolution; add it, or drop --{flag}")
        for flag in ("factor", "latent_channels", "adversarial", "lpips"):
            if flag in given:
                name = flag.replace("_", "-")
                raise InputError("conflict", f"--{name} requires --recipe autoencoder; add it, or drop --{name}")
        for flag, kind in (("mode", Mode), ("fit", Fit)):
            if given.get(flag) not in (None, *get_args(kind)):
                raise InputError("unknown", f"--{flag} {given[flag]} is unknown; use {', '.join(get_args(kind))}")
        if "text" in given and given.get("no_text"):
            raise InputError("conflict", "--text cannot be combined with --no-text; drop one of them")
        if "codec" in given and recipe == "super-resolution":
            raise InputError("conflict", "--codec cannot be combined with --recipe super-resolution; drop one of them")
        changes: dict[str, Any] = {key: given[flag] for flag, key in KEYS.items() if flag in given}
        if "schedule" in given and "betas" in given:
            raise InputError("conflict", "--schedule cannot be combined with --betas; drop one of them")
        if "betas" in given:
            betas = _numbers("--betas", given["betas"])
            changes |= {"diffusion.schedule": "custom", "diffusion.betas": betas, "diffusion.T": len(betas)}
        changes = assignments(given.get("set", ()), changes)
        return cls(
            data,
            seconds=duration(given["for"]) if "for" in given else None,
            images=count(given["images"]) if "images" in given else None,
            recipe=recipe,
            size=size(given["size"]) if "size" in given else None,
            mode=given.get("mode"),
            fit=given.get("fit", "crop"),
            skip_bad=bool(given.get("skip_bad")),
            split=given.get("split"),
            max_pixels=count(str(given["max_pixels"]), "pixels") if "max_pixels" in given else None,
            labels=given.get("labels") is not False,
            text=given.get("text"),
            captions=not given.get("no_text"),
            scoring=bool(given.get("during_training")),
            guidance_search=given.get("tune_guidance"),
            scale=given.get("scale"),
            low=given.get("low"),
            codec=given.get("codec"),
            changes=changes,
        )


def flags(budget: str | int | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert Python's keywords to the flags of ``ddpm train``, so that a run can be resumed with either.

    Args:
        budget: a time, as in "20m", or a number of images; the command's default if None.
        config: values by flag, and nested sections of the config: ``network={"width": 64}``.

    Raises:
        InputError: a keyword is unknown.
    """
    sections = [name for name, hint in hints(RunConfig).items() if groups(hint)]
    given: dict[str, Any] = {}
    if budget is not None:
        given = budgeted(budget)
    lines: list[str] = []
    for name, value in config.items():
        if name not in (*FLAGS, *KEYS, *sections):
            raise InputError("unknown", f"unknown keyword {name!r}{suggest(name, [*FLAGS, *KEYS, *sections])}")
        if isinstance(value, bool) and name in KEYS and options(RunConfig)[name].kind in (int, float):
            raise InputError("invalid", f"{name} is {value}; use a number")
        if name in sections and not (name in (*FLAGS, *KEYS) and isinstance(value, str | Path)):
            if not isinstance(value, Mapping):
                raise InputError("invalid", f'{name} is {value!r}, not a dict; use keys, as in network={{"width": 64}}')
            lines += _assignments(name, value)
        elif name == "size" and not isinstance(value, str):
            given["size"] = str(value) if isinstance(value, int) else "x".join(map(str, value))
        elif value is not None:
            given[name] = str(value) if isinstance(value, Path) else value
    return given | ({"set": lines} if lines else {})


def refuse_two_budgets(given: Mapping[str, Any]) -> None:
    """Refuse a time together with a number of images.

    Raises:
        InputError: the given flags, by name, have both.
    """
    if "for" in given and "images" in given:
        raise InputError("conflict", "--for cannot be combined with --images; drop one of them")


def budgeted(budget: object) -> dict[str, Any]:
    """The flag of a budget: a time, as in "20m", or a number of images.

    Raises:
        InputError: it is neither.
    """
    if isinstance(budget, float) and budget.is_integer():
        budget = int(budget)
    if isinstance(budget, bool) or not isinstance(budget, str | int):
        raise InputError("invalid", f'budget is {budget!r}; use a time, as in "20m", or a number of images')
    return {"images": str(budget)} if isinstance(budget, int) else {"for": budget}


def _assignments(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [line for name, inner in value.items() for line in _assignments(f"{key}.{name}", inner)]
    try:
        return [f"{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"]
    except TypeError:
        raise InputError("invalid", f"{key} is {value!r}; use a number, a string, or a list of them") from None


def _numbers(flag: str, path: str) -> list[float]:
    """The numbers in a file: a JSON list, or the output of NumPy's savetxt."""
    try:
        text = read_given(Path(path)).decode("utf-8-sig").strip().removeprefix("[").removesuffix("]")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError("unreadable", f"cannot read {flag} {path} ({e}); use a text file of numbers") from e
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as e:
        raise InputError("invalid", f"{flag} {path} contains a word that is not a number ({e}); remove it") from e


def default_out(data: str) -> Path:
    """The run folder if none is given: ``runs/photos`` for photos, photos.zip and ``s3://bucket/photos/*.tar``.

    A pattern may match many files, so the folder above names its run.
    """
    path = Path(data.partition("?")[0]) if is_remote(data) else with_home(data)
    named = path.parts if path.exists() else [part for part in path.parts if not re.search(r"[*?{}:]", part)]
    last = next((Path(part) for part in reversed(named) if part not in ("/", "..")), Path("data"))
    return Path("runs") / (last.stem if last.suffix.lower() in (".zip", ".npz", *KINDS) else last.name)
