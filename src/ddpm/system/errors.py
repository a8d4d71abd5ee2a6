"""The exception for input that cannot be used."""

from typing import Literal

Code = Literal[
    "busy",  # another process is training in the folder
    "conflict",  # options that exclude or require each other
    "device",  # a device is not available, or does not support this computation
    "diverged",  # training no longer has finite gradients
    "exists",  # existing files would be overwritten
    "incompatible",  # two things that do not fit together, such as files of different versions or runs
    "invalid",  # a value that is not allowed
    "memory",  # out of memory
    "missing",  # a file, a package or a part of a run was not found
    "unknown",  # an unknown name
    "unreadable",  # a file is damaged or of the wrong type
    "unwritable",  # a file cannot be written, as on a full disk
]
"""Kinds of errors, for programs to act on."""


LONGEST, KEPT = 2000, 600
"""The longest message, and the characters that are kept of each end of a longer one."""


class InputError(ValueError):
    """An input that cannot be used, explained in one line: the value, what is allowed, the fix.

    The command line prints it without a traceback and exits with code 2. Values come from files: characters that a
    terminal cannot show are escaped, and of a very long message only both ends are kept.

    Attributes:
        code: the kind of error; see :data:`Code`.
    """

    def __init__(self, code: Code, message: str) -> None:
        short = message if len(message) <= LONGEST else f"{message[:KEPT]} … {message[-KEPT:]}"
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in short))
        self.code = code

    def __reduce__(self) -> tuple[type["InputError"], tuple[Code, str]]:
        """As pickles make it again, where one process reports to another."""
        return type(self), (self.code, str(self))
