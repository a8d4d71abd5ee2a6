"""Placeholders that git-lfs and git-annex leave for files whose content was not downloaded."""

import re
from pathlib import Path

LFS = b"version https://git-lfs.github.com/spec/"
ANNEX = re.compile(rb"(?:\.\./)*(?:\.git)?/annex/objects/[^\n]+\n?")
LONGEST = 1024
"""Bytes of the longest pointer, by the specification of git-lfs."""


def pointer(data: bytes) -> str | None:
    """The kind of pointer in a file, and the command that gets its content; None if it is not a pointer."""
    if data.startswith(LFS) and len(data) <= LONGEST:
        return "a git-lfs pointer without the file's content; run `git lfs pull`"
    if len(data) <= 8 * LONGEST and ANNEX.fullmatch(data):
        return "a git-annex pointer without the file's content; run `git annex get .`"
    return None


def pointer_in(path: Path) -> str | None:
    """The kind of pointer in a file on disk; None if it is not a pointer, or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return pointer(file.read(8 * LONGEST + 1))
    except OSError:
        return None
