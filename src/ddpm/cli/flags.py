"""Groups of command-line flags, and the flags that were given."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, make_dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from ddpm.config.options import options
from ddpm.system.errors import InputError

Group = TypeVar("Group")


def flags(root: type, names: Iterable[str]) -> Callable[[type[Group]], type[Group]]:
    """A decorator of a group of flags: the fields of the class, then these options of a tree, None by default."""
    known = options(root)
    added = [(name, Annotated[known[name].kind | None, Parameter(help=known[name].flag.help)], None) for name in names]

    def group(base: type[Group]) -> type[Group]:
        bases = (dataclass(frozen=True)(base),)
        made = make_dataclass(base.__name__, added, bases=bases, frozen=True, namespace={"__doc__": base.__doc__})
        made.__module__ = base.__module__  # else cyclopts takes a class of the standard library for one value
        return Parameter(name="*")(made)

    return group


def given(group: Any) -> dict[str, Any]:
    """The flags of a group that were given, by name."""
    values = {f.name.rstrip("_"): getattr(group, f.name) for f in fields(group)}
    return {name: value for name, value in values.items() if value is not None}


def refuse_flags(kind: str, **asked: Any) -> None:
    """Refuse flags without effect on a kind of input.

    Raises:
        InputError: one of them was given.
    """
    for name, value in asked.items():
        if value is not None:
            flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
            raise InputError("conflict", f"{flag} has no effect on {kind}; drop it")
