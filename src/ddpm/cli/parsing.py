"""Errors in command lines, in the same form as all other errors."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import dropwhile
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
BARE = ("--help", "-h", "--version")
"""The options of every command, which take no value."""


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
            # --run is an option as well, but only where neither RUN nor any argument after it is given by its place
            options = [argument for argument in known if not argument.field_info.is_positional]
            flags = {flag.lstrip("-"): flag for argument in options for flag in argument.names}
            return f"{_unknown(token.keyword or token.value, flags, error.root_input_tokens or [])}; {usage}"
        case UnknownCommandError(unused_tokens=[name, *_]):
            return f"{_unknown(name, {}, [])}; {usage}"
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


def _unknown(word: str, flags: Mapping[str, str], line: Sequence[str]) -> str:
    """Why a word of a command line is none of the command's options.

    Args:
        flags: The options by their names without the leading dashes.
        line: The whole command line, in which "--" ends the options.
    """
    name, equals, _ = word.partition("=")
    if name in (each.partition("=")[0] for each in list(dropwhile("--".__ne__, line))[1:]):
        return f"unexpected argument {word!r}"
    if equals and name in BARE:
        return f"{name} takes no value"
    near = get_close_matches(name.lstrip("-"), flags, n=1, cutoff=0.7)
    return f"unknown option {name}" + (f" (did you mean {flags[near[0]]!r}?)" if near else "")


def _name(argument: Argument) -> str:
    """An argument's name: RUN, or --strength for one that is not positional."""
    return argument.name.lstrip("-").upper() if argument.field_info.is_positional else argument.name
