"""Flags made of the options that settings say they have."""

from collections.abc import Iterable
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from ddpm.config.options import options


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
