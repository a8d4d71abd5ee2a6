"""Images in a .tar: of WebDataset, whose files of the same name belong together, or of any folder."""

import posixpath
import tarfile
from collections.abc import Iterator
from itertools import groupby
from typing import BinaryIO

from ddpm.data.captions import captions_in, lines_of, one_string
from ddpm.data.entries import Entry, Ignored, from_json, label_in
from ddpm.data.locations import opened
from ddpm.data.tree import SUFFIXES, junk
from ddpm.system.errors import InputError

LONGEST = 2**24
"""The largest label, caption or .json, in bytes."""
TEXTS = ("txt", "cls", "json")

Member = tuple[tarfile.TarInfo, str, str]
"""A file, the key that it shares with those that belong to it, and the rest of its name, in lower case."""


def scan_tar(location: str, ignored: Ignored) -> Iterator[Entry]:
    """The images of a .tar, found by their headers.

    Neighbours whose names are equal up to the first dot of the last part belong together: ``a/7.jpg``, ``a/7.cls`` (a
    class), ``a/7.txt`` (captions, one a line), ``a/7.json`` (both). Next to a ``7.jpg``, a ``7.mask.png`` is ignored.

    Raises:
        InputError: if it is not a complete, uncompressed .tar, or a text in it is not UTF-8.
    """
    with opened(location) as file:
        try:
            for _, group in groupby(_members(file), key=lambda member: member[1]):
                yield from _images(location, file, list(group), ignored)
        except tarfile.TarError as error:
            raise InputError(
                "unreadable", f"{location} is not a whole, uncompressed .tar ({error}); pack or download it again"
            ) from error
        except OSError as error:
            raise InputError("unreadable", f"cannot read {location} ({error.strerror or error})") from error


def _members(file: BinaryIO) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it would keep those of every file
            if member.isfile() and not any(map(junk, member.name.split("/"))):
                folder, name = posixpath.split(member.name.removeprefix("./"))
                stem, _, rest = name.partition(".")
                yield member, posixpath.join(folder, stem), rest.lower()


def _images(location: str, file: BinaryIO, group: list[Member], ignored: Ignored) -> Iterator[Entry]:
    """The images of one sample, which are several where a tar of plain files has ``7.jpg`` next to ``7.png``."""
    pictures = [member for member in group if posixpath.splitext(member[0].name)[1].lower() in SUFFIXES]
    plain = [member for member in pictures if "." not in member[2]] or pictures
    texts: dict[str, tuple[bytes, str]] = {}
    for member in group:
        info, _, rest = member
        if rest in TEXTS and plain and info.size <= LONGEST:
            file.seek(info.offset_data)
            texts[rest] = file.read(info.size), f"{info.name} in {location}"
        elif member not in plain:
            ignored(info.name)
    found = from_json(*texts["json"]) if "json" in texts else {}
    label = "".join(lines_of(*texts["cls"])).strip() or None if "cls" in texts else label_in(found)
    caption = one_string(lines_of(*texts["txt"])) if "txt" in texts else ""
    if found and not caption:
        caption = one_string(captions_in(found, texts["json"][1]))
    for info, _, _ in plain:
        name = info.name.removeprefix("./")
        yield Entry(name, info.offset_data, info.size, label, caption, f"{info.mtime} {info.chksum}")
