"""The one exception that means: what you gave cannot be used."""

from typing import Literal

Code = Literal[
    "conflict",
    "device",
    "diverged",
    "exists",
    "incompatible",
    "invalid",
    "memory",
    "missing",
    "unknown",
    "unreadable",
    "unwritable",
]
"""Kinds of errors, for programs that decide by them:

- ``conflict``: options that exclude or require each other
- ``device``: the device is not available, or cannot compute this
- ``diverged``: training has no finite gradient any more
- ``exists``: would overwrite what is there
- ``incompatible``: two things that were made differently, as by another version or run
- ``invalid``: a value outside what is allowed
- ``memory``: out of memory
- ``missing``: a file, package or part of a run is not there
- ``unknown``: a name that nothing has
- ``unreadable``: a file is damaged or of another kind
- ``unwritable``: a file cannot be written
"""


class InputError(ValueError):
    """An input that cannot be used, explained in one line: the value, what is allowed, how to fix it.

    The command line prints it without a traceback and exits with code 2.

    Attributes:
        code: the kind of error; see :data:`Code`.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
