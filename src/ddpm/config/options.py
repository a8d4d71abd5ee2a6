"""Options by short flat names, as command-line flags and Python keywords, and the settings in a tree that they set.

A :class:`Flag` annotation makes a field an option. Flags, their help, keywords and the flags printed for a record
are all derived from it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from ddpm.system.errors import InputError
from ddpm.system.names import suggest
from ddpm.system.record import explain
from ddpm.system.tree import at, bare, groups, hints, merged, notes, short

KeyPath = tuple[str, ...]
Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True)
class Flag:
    """A mark on a field that is set by a flat name; in a field that holds a group, it sets the group's key.

    Attributes:
        help: The help text of the flag.
        name: The flat name; the field's own if empty.
        kind: The type to parse; the field's type if None.
        holds: The type of value that this flag sets, where a field has several flags.
        off: The value that means no group at all.
        switch: The names that yes and no stand for.
        condition: The kind of condition that the value is, raw, for every image; empty if it is none.
    """

    help: str
    name: str = ""
    kind: Any = None
    holds: type = object
    off: Any = None
    switch: tuple[str, str] | None = None
    condition: str = ""


class OptionPaths(NamedTuple):
    """An option with the type to parse, and every path that it sets."""

    flag: Flag
    kind: Any
    paths: tuple[KeyPath, ...]


@cache
def options(root: type) -> dict[str, OptionPaths]:
    """All options of a tree by flat name, in the order of the tree."""
    found: dict[str, OptionPaths] = {}
    for name, flag, kind, path in _walk(root, ()):
        before = found[name].paths if name in found else ()
        if path not in before:
            found[name] = OptionPaths(flag, kind, (*before, path))
    return found


def _walk(group: type, above: KeyPath) -> Iterator[tuple[str, Flag, Any, KeyPath]]:
    for field, hint in hints(group).items():
        path, mark, members = (*above, field), short(hint), groups(hint)
        for flag in notes(hint, Flag):
            name, kind = flag.name or field, flag.kind
            if mark is None:
                yield name, flag, kind or bare(hint), path
            else:
                tags = tuple(tag for names in mark.tags(members).values() for tag in names)
                plain = Literal[tags] if tags else bare(hints(members[0])[mark.key])
                yield name, flag, kind or plain, (*path, mark.key)
        for member in members:
            yield from _walk(member, path)


def under(root: type, field: str) -> list[str]:
    """The flat names of the options in a field."""
    return [name for name, option in options(root).items() if any(path[0] == field for path in option.paths)]


def changes(root: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The tree that flat options describe; None means not given.

    Raises:
        InputError: if a name is unknown, or two options set the same value.
    """
    known, tree, by = options(root), dict[str, Any](), dict[KeyPath, str]()
    for name in given:
        if name not in known:
            raise InputError("unknown", f"unknown key {name!r}{suggest(name, list(known))}")
    for name, value in given.items():
        if value is None:
            continue
        flag, kind, paths = known[name]
        if isinstance(value, bool) and kind in (int, float):
            raise InputError("invalid", f"{name} is {value}; use a number")
        if flag.switch is not None:
            if value and any(given.get(other) is not None for other in under(root, paths[0][0]) if other != name):
                continue  # an option of the group already switches it on
            value = flag.switch[0 if value else 1]
        for path in paths:
            if path in by:
                raise InputError("conflict", f"{by[path]} and {name} set the same value; use only one of them")
            by[path] = name
            group = tree
            for part in path[:-1]:
                group = group.setdefault(part, {})
            group[path[-1]] = value
    return tree


def changed(own: Settings, given: Mapping[str, Any], *, without: Collection[str] = ()) -> Settings:
    """Settings with some flat options changed.

    Args:
        without: The fields whose old values are discarded.

    Raises:
        InputError: if a name is unknown, or a value is not allowed or has no effect.
    """
    root: type[Settings] = type(own)
    before = {key: value for key, value in own.model_dump().items() if key not in without}
    tree = merged(root, before, changes(root, given))
    idle = [field for field in hints(root) if _idle(root, field, tree.get(field))]
    for name, value in given.items():
        paths = options(root)[name].paths
        if value is not None and all(path[0] in idle and path != _key(root, path[0]) for path in paths):
            raise InputError("conflict", _without(root, name, paths[0][0]))
    tree |= dict.fromkeys(idle)
    try:
        return root.model_validate(tree)
    except ValidationError as e:
        raise InputError("invalid", explain(e, root, lambda path: flat_name(root, path))) from e


def flat_name(root: type, path: KeyPath) -> str:
    """The flat name of a path; empty for a group."""
    return next((name for name, option in options(root).items() if path in option.paths), "")


def flat(settings: BaseModel) -> dict[str, Any]:
    """Settings by flat names; None for those not set."""
    found = {}
    for name, (flag, _, paths) in options(type(settings)).items():
        values = [value for path in paths if (value := at(settings, path)) is not None]
        value = values[0] if values else flag.off
        if flag.switch is not None:
            value = value != flag.switch[1]
        found[name] = value if isinstance(value, flag.holds) else None
    return found


def typed(given: Mapping[str, Any]) -> list[str]:
    """Options as command-line words; None is omitted."""
    words: list[str] = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list | tuple) and not all(isinstance(one, str) for one in value):
            words += [flag, *map(str, value)]  # one flag with several non-negative numbers
        elif value is not None:
            for word in map(str, value if isinstance(value, list | tuple) else [value]):
                # a separate word with a leading dash would be parsed as a flag
                words += [f"{flag}={word}"] if word.startswith("-") else [flag, word]
    return words


def _idle(root: type, field: str, value: Any) -> bool:
    """Whether a group of options is off: its key is missing, or has the value that means off."""
    mark = short(hints(root)[field])
    if mark is None or mark.tags(groups(hints(root)[field])) or not isinstance(value, Mapping):
        return False
    return value.get(mark.key) in (None, options(root)[flat_name(root, (field, mark.key))].flag.off)


def _key(root: type, field: str) -> KeyPath:
    mark = short(hints(root)[field])
    return (field,) if mark is None else (field, mark.key)


def _without(root: type, name: str, field: str) -> str:
    needs = flat_name(root, _key(root, field))
    off = options(root)[needs].flag.off
    other = " as well" if off is None else f" to a value other than {off:g}"
    return f"{name} requires {needs}; set {needs}{other}"
