"""Trees of settings: groups of named values, and fields that hold one of several groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as dataclass_fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Short:
    """A mark on a field that holds a group: a bare value stands for the group with only this key set.

    Where the key selects one of several groups, values without it mean the first group that has all of them.
    """

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Complete the given value before it is validated."""
        members = groups(source)
        return core_schema.no_info_before_validator_function(lambda given: self.full(given, members), handler(source))

    def full(self, given: Any, members: tuple[type, ...]) -> Any:
        """The given value as a group with its key."""
        given = self.spelt(given)
        if not isinstance(given, Mapping) or self.key in given or not (tags := self.tags(members)):
            return given
        having = [member for member in members if given.keys() <= hints(member).keys()]
        having += [member for member in members if given.keys() & hints(member).keys()]
        return {self.key: tags[(having or members)[0]][0], **given}

    def spelt(self, given: Any) -> Any:
        """A bare value as a group with this key; None and groups are returned unchanged."""
        is_group = given is None or isinstance(given, Mapping) or bool(groups(type(given)))
        return given if is_group else {self.key: given}

    def tags(self, members: tuple[type, ...]) -> dict[type, tuple[str, ...]]:
        """The names of each group; empty if the key is a plain value."""
        found = {member: get_args(bare(hints(member)[self.key])) for member in members}
        return found if all(get_origin(bare(hints(m)[self.key])) is Literal for m in members) else {}

    def member(self, given: Mapping[str, Any], members: tuple[type, ...]) -> type:
        """The group to which complete values belong."""
        tags = self.tags(members)
        return next((member for member in tags if given[self.key] in tags[member]), members[0])


@cache
def hints(group: type) -> dict[str, Any]:
    """The fields of a group and their types, with annotations."""
    found = get_type_hints(group, include_extras=True)
    names = [f.name for f in dataclass_fields(group)] if is_dataclass(group) else _model_fields(group)
    return {name: found[name] for name in names}


def groups(hint: Any) -> tuple[type, ...]:
    """The groups that a field of this type may hold."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, BaseModel)):
        return (hint,)
    if get_origin(hint) is Annotated:
        return groups(get_args(hint)[0])
    return tuple(one for part in get_args(hint) for one in groups(part)) if _is_union(hint) else ()


def bare(hint: Any) -> Any:
    """A type without annotations and without None."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    parts = [bare(part) for part in get_args(hint) if part is not type(None)] if _is_union(hint) else []
    return parts[0] if len(parts) == 1 else hint


def notes(hint: Any, kind: type) -> list[Any]:
    """The annotations of a type that are instances of one class."""
    return [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, kind)]


def short(hint: Any) -> Short | None:
    """The abbreviation of a field's group, if it has one."""
    return next(iter(notes(hint, Short)), None)


def merged(hint: Any, own: Any, changes: Any, *, stay: bool = False) -> Any:
    """The values of a field with changes applied. Selecting another group drops the options of the old one.

    Args:
        stay: Whether to keep the group if it lacks a given option, which validation then rejects, rather than
            switch to the first group that has it.
    """
    members, mark = groups(hint), short(hint)
    if mark is not None:
        own = mark.full(own, members) if own else mark.spelt(own)
        changes = mark.spelt(changes)
    if not (members and isinstance(own, Mapping) and isinstance(changes, Mapping)):
        return changes
    member = members[0]
    if mark is not None and mark.key in own:
        member = mark.member(own, members)
        other = mark.tags(members) and changes.get(mark.key, own[mark.key]) != own[mark.key]
        if other or not (stay or changes.keys() <= hints(member).keys()):
            return changes
    known = hints(member)
    return {**own, **{key: merged(known.get(key), own.get(key), value, stay=stay) for key, value in changes.items()}}


def hint_at(root: type, path: Sequence[str]) -> Any:
    """The type, with annotations, of the field at a path in a tree; None if there is no such field."""
    hint: Any = root
    for part in path:
        hint = next((hints(member)[part] for member in groups(hint) if part in hints(member)), None)
    return hint


def at(settings: Any, path: Sequence[str]) -> Any:
    """The value at a path in settings or in their tree; None if a part of the path is not set."""
    for part in path:
        settings = settings.get(part) if isinstance(settings, Mapping) else getattr(settings, part, None)
    return settings


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _model_fields(group: type) -> list[str]:
    assert issubclass(group, BaseModel)
    return list(group.model_fields)
