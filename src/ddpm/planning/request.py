"""What a user asks for, and what that means for the images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

from ddpm.config.options import options
from ddpm.config.run import RunConfig
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, Mode, suggest
from ddpm.system.tree import groups, hints, merged
from ddpm.system.units import count, duration, size

FLAGS = (
    *("recipe", "scale", "low", "size", "mode", "fit"),
    *("skip_bad", "labels", "betas", "precision", "during_training"),
)
"""Flags of ``ddpm train`` that decide more than one key of the config, but for the budget."""
KEYS = {name: ".".join(place.paths[0]) for name, place in options(RunConfig).items() if place.paths[0][0] != "sampling"}
"""Flags that are keys of the config."""

_FLAGS = {
    "recipe": "--recipe",
    "data.size": "--size",
    "data.mode": "--mode",
    "data.fit": "--fit",
    "data.skip_bad": "--skip-bad",
    "data.classes": "--labels or --no-labels",
    "training.images": "--images",
    "upscaling.scale": "--scale",
    "upscaling.low": "--low",
    "upscaling.low_fingerprint": "--low",
    "training.precision": "--precision",
}
"""Keys that decide more than themselves, and the flags that do."""


@dataclass(frozen=True)
class Request:
    """What a user asks of a run; None where the plan may choose.

    Attributes:
        data: a path, or "digits".
        seconds, images: the budget; at most one of them.
        size, mode, fit: what the images are brought to.
        skip_bad: whether to go on without images that cannot be read.
        labels: whether classes, where there are any, are learned.
        scoring: whether the run is scored while it trains.
        scale, low: of super-resolution: pixels a side for one of the small image, and where small images come from.
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
    labels: bool = True
    scoring: bool = False
    scale: int | None = None
    low: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: str, given: Mapping[str, Any]) -> Self:
        """What the flags of ``ddpm train`` ask for, by their names; those that are not given are left out.

        Raises:
            InputError: a value that cannot be read, or two budgets.
        """
        if "for" in given and "images" in given:
            raise InputError("invalid", "--for and --images are two budgets; give one")
        recipe = given.get("recipe", "auto")
        for flag in ("scale", "low"):
            if flag in given and recipe != "super-resolution":
                raise InputError("conflict", f"--{flag} is of super-resolution; give --recipe super-resolution, too")
        for flag, kind in (("mode", Mode), ("fit", Fit)):
            if given.get(flag) not in (None, *get_args(kind)):
                raise InputError("invalid", f"--{flag} is {given[flag]!r}; it must be {', '.join(get_args(kind))}")
        changes: dict[str, Any] = {key: given[flag] for flag, key in KEYS.items() if flag in given}
        if "schedule" in given and "betas" in given:
            raise InputError("invalid", "--schedule and --betas are two noise schedules; give one")
        if "betas" in given:
            betas = _numbers("--betas", given["betas"])
            changes |= {"diffusion.schedule": "custom", "diffusion.betas": betas, "diffusion.T": len(betas)}
        return cls(
            data,
            seconds=duration(given["for"]) if "for" in given else None,
            images=count(given["images"]) if "images" in given else None,
            recipe=recipe,
            size=size(given["size"]) if "size" in given else None,
            mode=given.get("mode"),
            fit=given.get("fit", "crop"),
            skip_bad=bool(given.get("skip_bad")),
            labels=given.get("labels") is not False,
            scoring=bool(given.get("during_training")),
            scale=given.get("scale"),
            low=given.get("low"),
            changes=changes | dict(_assignment(text) for text in given.get("set", ())),
        )


def flags(budget: str | int | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of ``ddpm train`` that mean the same as Python's keywords, so that either resumes the other's run.

    Args:
        budget: a time, as in "20m", or a number of images; the command's default if None.
        config: values by flag, and sections of the config, which may be nested: ``network={"width": 64}``.

    Raises:
        InputError: an unknown keyword.
    """
    sections = [name for name, hint in hints(RunConfig).items() if groups(hint)]
    given: dict[str, Any] = {}
    if budget is not None:
        given = {"images": str(budget)} if isinstance(budget, int) else {"for": budget}
    assignments: list[str] = []
    for name, value in config.items():
        if name not in (*FLAGS, *KEYS, *sections):
            raise InputError("unknown", f"unknown keyword {name!r}{suggest(name, [*FLAGS, *KEYS, *sections])}")
        if name in sections:
            if not isinstance(value, Mapping):
                raise InputError("invalid", f'{name} is {value!r}; give its keys, as in network={{"width": 64}}')
            assignments += _assignments(name, value)
        elif name == "size" and not isinstance(value, str):
            given["size"] = str(value) if isinstance(value, int) else "x".join(map(str, value))
        elif value is not None:
            given[name] = str(value) if isinstance(value, Path) else value
    return given | ({"set": assignments} if assignments else {})


def _assignments(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [line for name, inner in value.items() for line in _assignments(f"{key}.{name}", inner)]
    try:
        return [f"{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"]
    except TypeError:
        raise InputError("invalid", f"{key} is {value!r}; give a number, a string, or a list of them") from None


def _numbers(flag: str, path: str) -> list[float]:
    """The numbers in a file, be it a JSON list or what NumPy's savetxt writes."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip().removeprefix("[").removesuffix("]")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError("unreadable", f"{flag} {path} cannot be read as a file of numbers ({e})") from e
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as e:
        raise InputError("invalid", f"{flag} {path} holds something that is no number ({e})") from e


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("invalid", f"--set {text!r} is no assignment; write it as --set training.ema=0.999")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def whole_number(key: str, value: Any) -> int:
    """A value of the configuration as an integer.

    Raises:
        InputError: it is none.
    """
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError("invalid", f"{key} must be a whole number, not {value!r}") from None


def change(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of a config to be; the config itself refuses unknown ones.

    Raises:
        InputError: a key that follows from the data, or that a flag sets together with what depends on it.
    """
    if key in _FLAGS:
        raise InputError("invalid", f"{key} is not set by --set: give {_FLAGS[key]}")
    *parents, last = key.split(".")
    if (parents or [last])[0] in ("data", "request", "format"):
        raise InputError("invalid", f"{key} cannot be set: it follows from the images and from what is asked")
    if (parents or [last])[0] == "scoring" and "scoring" not in tree:
        raise InputError("missing", f"{key} has no effect without --during-training; give that too, or leave {key} out")
    if (parents or [last])[0] == "upscaling" and "upscaling" not in tree:
        raise InputError(
            "missing", f"{key} has no effect without --recipe super-resolution; give that too, or leave {key} out"
        )
    if not parents and isinstance(tree.get(last), dict):
        raise InputError("invalid", f"{key} is a group of keys; set one of them, as in --set training.ema=0.999")
    members: tuple[type, ...] = (RunConfig,)
    for name in parents:
        known = [hints(member)[name] for member in members if name in hints(member)]
        members = groups(known[0]) if known else members
        if known and not members:
            raise InputError("missing", f"{key!r} is no key of the configuration: {name} holds no keys")
    nested: Any = value
    for name in reversed((*parents, last)):
        nested = {name: nested}
    tree |= merged(RunConfig, tree, nested, stay=True)
