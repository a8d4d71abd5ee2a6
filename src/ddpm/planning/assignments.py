"""Changes to the settings of a run by key, such as those of ``--set``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ddpm.config.run import RunConfig
from ddpm.system.errors import InputError
from ddpm.system.files import parse_json
from ddpm.system.tree import groups, hint_at, merged, short

_FLAGS = {
    "recipe": "--recipe",
    "data.size": "--size",
    "data.mode": "--mode",
    "data.fit": "--fit",
    "data.skip_bad": "--skip-bad",
    "data.split": "--split",
    "data.max_pixels": "--max-pixels",
    "data.classes": "--labels or --no-labels",
    "training.images": "--images",
    "upscaling.scale": "--scale",
    "upscaling.low": "--low",
    "upscaling.low_fingerprint": "--low",
    "training.precision": "--precision",
    "objective.lpips": "--lpips",
    "objective.lpips.source": "--lpips",
    "objective.lpips.weights": "--lpips",
}
"""Keys that --set refuses because others depend on them, and the flags that set them."""
_SWITCHES = {
    "scoring": "--during-training",
    "guidance_search": "--tune-guidance",
    "upscaling": "--recipe super-resolution",
    "text": "captions",
}
"""Sections that not every run has, and the flags that add them."""


OF_TEXT = (("layers",), ("length",))
"""Keys of the encoder of captions that --set may change."""


def assignments(given: Iterable[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Add ``KEY=VALUE`` assignments to the changes of flags.

    Raises:
        InputError: one is not an assignment, or its key is already set.
    """
    found = dict(changes)
    for text in given:
        key, value = _assignment(text)
        if key in found:
            raise InputError("conflict", f"{key} is set more than once; drop --set {text}")
        found[key] = value
    return found


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError("invalid", f"--set {text} is not an assignment; use KEY=VALUE, as in --set training.ema=0.999")
    try:
        return key, parse_json(value)
    except ValueError:
        return key, value


def whole_number(key: str, value: Any) -> int:
    """Convert a value of the config to an integer.

    Raises:
        InputError: it is not one.
    """
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError("invalid", f"{key} is {value!r}; use an integer") from None


def changed(tree: Mapping[str, Any], changes: Mapping[str, Any], root: type = RunConfig) -> dict[str, Any]:
    """A config tree with dotted keys set, in no particular order; parsing the config refuses unknown ones.

    Args:
        root: the config.

    Raises:
        InputError: a key follows from the data, has a flag that also sets keys depending on it, or contradicts another.
    """
    asked: dict[str, Any] = {}
    by: dict[tuple[str, ...], str] = {}
    for key, value in changes.items():
        for path, leaf in _leaves(root, _path(root, tree, key), value):
            for other, earlier in by.items():
                if path[: len(other)] == other[: len(path)]:
                    raise InputError("conflict", f"{earlier} and {key} cannot both be set; drop one of them")
            by[path] = key
            *above, last = path
            group = asked
            for name in above:
                group = group.setdefault(name, {})
            group[last] = leaf
    # all at once: a key that selects a group discards the options of another group, but not those set with it
    whole: dict[str, Any] = merged(root, tree, asked, stay=True)
    return whole


def _path(root: type, tree: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The path of a dotted key that may be set."""
    if key in _FLAGS:
        raise InputError("conflict", f"{key} cannot be changed by --set; use {_FLAGS[key]}")
    path = tuple(key.split("."))
    section = path[0]
    if section == "codec":
        raise InputError("conflict", f"{key} cannot be changed by --set; use --codec")
    if section == "text" and path[1:] not in OF_TEXT:
        raise InputError("conflict", f"{key} cannot be changed by --set; use --text or --no-text")
    if section in ("data", "request", "format", "kind"):
        raise InputError("conflict", f"{key} follows from the images and the flags; drop it from --set")
    if section in _SWITCHES and section not in tree:
        raise InputError("conflict", f"{key} has no effect without {_SWITCHES[section]}; add it, or drop {key}")
    if key == section and isinstance(tree.get(section), dict):
        raise InputError("invalid", f"{key} is a section; set one of its keys, as in --set training.ema=0.999")
    for depth, name in enumerate(path[:-1], 1):
        hint = hint_at(root, path[:depth])
        if hint is not None and not groups(hint):
            raise InputError("unknown", f"unknown key {key}: {name} is not a section; use {name} itself")
    return path


def _leaves(root: type, path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values that a key sets, each with its path: a bare value of a group sets the group's key."""
    hint = hint_at(root, path)
    mark = short(hint)
    value = value if mark is None else mark.spelt(value)
    if groups(hint) and isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(root, (*path, name), inner)
    else:
        yield path, value
