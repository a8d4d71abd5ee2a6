"""Command-line flags made from the options of settings, and a call with those that were given."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, make_dataclass
from inspect import signature
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from ddpm.config.options import options
from ddpm.system.errors import InputError

Result = TypeVar("Result")


def flags(name: str, base: type, root: type, names: Iterable[str]) -> Any:
    """A frozen dataclass for the command line: a base's fields and these options of a tree, None if not given."""
    known = options(root)
    made: list[tuple[str, Any, Any]] = [
        (one, Annotated[known[one].kind | None, Parameter(help=known[one].flag.help)], field(default=None))
        for one in names
    ]
    kind = make_dataclass(name, made, bases=(base,), frozen=True, namespace={"__doc__": base.__doc__})
    kind.__module__ = base.__module__  # else cyclopts takes a class of the standard library for one value
    return Parameter(name="*")(kind)


def call(function: Callable[..., Result], kind: str, *args: Any, **asked: Any) -> Result:
    """Call the function that does a command's work for one kind of input, with the flags that were given.

    Args:
        kind: the kind of input, for the error message.
        asked: every flag of the command, None if not given; a mapping holds a group of flags.

    Raises:
        InputError: the function has no parameter for a flag that was given.
    """
    given = {name: value for name, value in asked.items() if value is not None and value != {}}
    takes = signature(function).parameters
    if idle := [_typed(name, value) for name, value in given.items() if name not in takes]:
        raise InputError("conflict", f"{idle[0]} has no effect on {kind}; drop it")
    return function(*args, **given)


def _typed(name: str, value: Any) -> str:
    """A flag, or the first of a group, as typed."""
    first = next(iter(value)) if isinstance(value, Mapping) else name
    return "-n" if first == "n" else f"--{first.rstrip('_').replace('_', '-')}"
