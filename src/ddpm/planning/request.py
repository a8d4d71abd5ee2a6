"""What a user asks for, and what that means for the images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ddpm.config.run import RunConfig
from ddpm.system.errors import InputError
from ddpm.system.names import Fit, Mode
from ddpm.system.tree import groups, hints, merged

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


def whole_number(key: str, value: Any) -> int:
    """A value of the configuration as an integer.

    Raises:
        InputError: it is none.
    """
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} must be a whole number, not {value!r}") from None


def change(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of a config to be; the config itself refuses unknown ones.

    Raises:
        InputError: a key that follows from the data, or that a flag sets together with what depends on it.
    """
    if key in _FLAGS:
        raise InputError(f"{key} is not set by --set: give {_FLAGS[key]}")
    *parents, last = key.split(".")
    if (parents or [last])[0] in ("data", "request", "format"):
        raise InputError(f"{key} cannot be set: it follows from the images and from what is asked")
    if (parents or [last])[0] == "scoring" and "scoring" not in tree:
        raise InputError(f"{key} has no effect without --during-training; give that too, or leave {key} out")
    if (parents or [last])[0] == "upscaling" and "upscaling" not in tree:
        raise InputError(f"{key} has no effect without --recipe super-resolution; give that too, or leave {key} out")
    if not parents and isinstance(tree.get(last), dict):
        raise InputError(f"{key} is a group of keys; set one of them, as in --set training.ema=0.999")
    members: tuple[type, ...] = (RunConfig,)
    for name in parents:
        known = [hints(member)[name] for member in members if name in hints(member)]
        members = groups(known[0]) if known else members
        if known and not members:
            raise InputError(f"{key!r} is no key of the configuration: {name} holds no keys")
    nested: Any = value
    for name in reversed((*parents, last)):
        nested = {name: nested}
    tree |= merged(RunConfig, tree, nested, stay=True)
