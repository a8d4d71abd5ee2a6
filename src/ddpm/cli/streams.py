"""Standard output and error that a command can always write to."""

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, TextIO

_ASCII = str.maketrans({"×": "x", "–": "-", "−": "-", "→": "->", "±": "+-", "·": "*", "≥": ">=", "≤": "<="})
_NEAREST = "ddpm-nearest"


class StandardStream(io.RawIOBase):
    """A file descriptor that drops what can no longer be written: its reader or terminal is gone, or the disk is full.

    Attributes:
        lost: the first error; None if everything was written.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.lost: OSError | None = None

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        while self.lost is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as e:
                self.lost = e
        return len(data)


@dataclass
class StandardOutput:
    """The state of standard output.

    Attributes:
        lost: the first error of writing to it; None if everything was written.
    """

    lost: OSError | None = None


@contextmanager
def dependable() -> Iterator[StandardOutput]:
    """Make the standard streams dependable: they replace characters that the locale lacks, and drop what cannot be
    written. At the end, a line on standard error names the error of standard output, unless its reader has quit.
    """
    codecs.register_error(_NEAREST, _nearest)
    _reopened()
    output = StandardOutput()
    with ExitStack() as stack:
        out, err = _wrapped(sys.stdout), _wrapped(sys.stderr)
        if out is not None:
            stack.enter_context(redirect_stdout(out[0]))
        if err is not None:
            stack.enter_context(redirect_stderr(err[0]))
        try:
            yield output
        finally:
            if out is not None:
                out[0].flush()
                output.lost = out[1].lost
            if output.lost is not None and output.lost.errno != errno.EPIPE:
                print(f"ddpm: cannot write to standard output: {output.lost.strerror}", file=sys.stderr)
            if err is not None:
                err[0].flush()


def _reopened() -> None:
    """Open descriptors that the caller has closed, so that no other file gets their numbers and output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def _wrapped(stream: TextIO) -> tuple[TextIO, StandardStream] | None:
    """A stream of text to the same descriptor; None if there is none, as in a notebook."""
    try:
        stream.flush()
        raw = StandardStream(stream.fileno())
    except (OSError, AttributeError, ValueError):
        return None
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, stream.encoding, _NEAREST, line_buffering=bool(stream.line_buffering)), raw


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by similar ones of ASCII, or question marks."""
    assert isinstance(error, UnicodeEncodeError)
    plain = unicodedata.normalize("NFKD", error.object[error.start : error.end].translate(_ASCII))
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    return kept.encode("ascii", "replace").decode(), error.end
