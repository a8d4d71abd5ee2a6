"""Flags made of the options that settings say they have, and those that were given."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, make_dataclass
from inspect import signature
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from ddpm.config.options import options
from ddpm.system.errors import InputError

Result = TypeVar("Result")


def flags(name: str, base: type, root: type, names: Iterable[str]) -> Any:
    """A frozen dataclass for the command line: the fields of a base and these options of a tree, None if not given."""
    known = options(root)
    made: list[tuple[str, Any, Any]] = [
        (one, Annotated[known[one].kind | None, Parameter(help=known[one].flag.help)], field(default=None))
        for one in names
    ]
    kind = make_dataclass(name, made, bases=(base,), frozen=True, namespace={"__doc__": base.__doc__})
    kind.__module__ = base.__module__  # cyclopts takes what is of the standard library, as it would be, for one value
    return Parameter(name="*")(kind)


def call(function: Callable[..., Result], kind: str, *args: Any, **asked: Any) -> Result:
    """Call what does a command's work for one kind of thing, with the flags that were given.

    Args:
        kind: what the function works on, for a message.
        asked: every flag of the command, None where it was not given; a mapping holds a group of flags.

    Raises:
        InputError: a flag was given that the function has no parameter for.
    """
    given = {name: value for name, value in asked.items() if value is not None and value != {}}
    takes = signature(function).parameters
    if idle := [_typed(name, value) for name, value in given.items() if name not in takes]:
        raise InputError("missing", f"{idle[0]} has no effect on {kind}; leave it out")
    return function(*args, **given)


def _typed(name: str, value: Any) -> str:
    """A flag, or the first given of a group, as it is typed."""
    first = next(iter(value)) if isinstance(value, Mapping) else name
    return "-n" if first == "n" else f"--{first.rstrip('_').replace('_', '-')}"
