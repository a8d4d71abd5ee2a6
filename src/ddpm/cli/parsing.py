"""Errors in command lines, in the same form as all other errors."""

from typing import get_args

from cyclopts import (
    Argument,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from ddpm.system.errors import InputError
from ddpm.system.names import nearest, suggest

EXPECTED = {int: "an integer", float: "a number", bool: "true or false"}
"""Types of values, in messages."""


def refusal(error: CycloptsError, commands: list[str]) -> InputError:
    """The error in a command line, in one line with its fix.

    Args:
        commands: The names of all commands.
    """
    return InputError("invalid", _explained(error, commands))


def _explained(error: CycloptsError, commands: list[str]) -> str:
    usage = f"see `{' '.join(('ddpm', *(error.command_chain or ())))} --help`"
    match error:
        case UnknownCommandError(unused_tokens=[name, *_]) if not name.startswith("-"):
            return f"unknown command {name!r}{suggest(name, commands)}"
        case UnknownOptionError(token=token, argument_collection=known):
            name = (token.keyword or token.value).partition("=")[0]
            near = nearest(name, [flag for argument in known for flag in argument.names], cutoff=0.7)
            return f"unknown option {name}{near}; {usage}"
        case UnknownCommandError(unused_tokens=[name, *_]):
            return f"unknown option {name}; {usage}"
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return f"unexpected argument {first!r}; {usage}"
        case MissingArgumentError(keyword=str(flag)):
            return f"{flag} needs a value; {usage}"
        case MissingArgumentError(argument=argument) if argument is not None:
            return f"{_name(argument)} is missing; {usage}"
        case RepeatArgumentError(token=token):
            return f"{token.keyword} is given twice; drop one of them"
        case CoercionError(token=token, target_type=kind) if token is not None:
            name = token.keyword or (_name(error.argument) if error.argument else "an argument")
            choices = [str(choice) for choice in get_args(kind)]
            expected = ", ".join(choices) or EXPECTED.get(kind)  # type: ignore[arg-type]
            return (
                f"{name} is {token.value!r}{nearest(token.value, choices)}; {f'use {expected}' if expected else usage}"
            )
    return f"{' '.join(str(error).split()).rstrip('.')}; {usage}"


def _name(argument: Argument) -> str:
    """An argument's name: RUN, or --strength for one that has no place of its own."""
    return argument.name.lstrip("-").upper() if argument.field_info.is_positional else argument.name
