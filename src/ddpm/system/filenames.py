"""Names of files as people and file systems have them: compared, ordered and shown."""

import re
import unicodedata
from pathlib import Path

from ddpm.system.errors import InputError

DIGITS = re.compile("([0-9]+)")
OTHERS = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half characters that stand for no byte, as Windows permits in names."""

NaturalKey = tuple[tuple[str | tuple[int, str], ...], str]


def nfc(name: str) -> str:
    """A name in the form to compare it in, as a file system may split é into a letter and an accent."""
    return unicodedata.normalize("NFC", name)


def refuse_bytes(path: str | Path) -> None:
    """Refuse a path that is not UTF-8, which no record can hold, and some libraries cannot open.

    Raises:
        InputError: if it is not.
    """
    if (shown := readable(str(path))) != str(path):
        raise InputError("invalid", f"the path {shown} is not UTF-8; rename it")


def natural(name: str) -> NaturalKey:
    """A key that orders numbers in names by value: 2 before 10."""
    # every second part is a number, whose length is that of its value without leading zeros
    parts = DIGITS.split(name)
    key = [(len(part.lstrip("0")), part.lstrip("0")) if i % 2 else part for i, part in enumerate(parts)]
    return tuple(key), name


def readable(name: str) -> str:
    r"""A name of a file with each byte that is not UTF-8 as \xNN, which can be printed and stored."""
    try:
        return name.encode().decode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass" if OTHERS.search(name) else "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )
