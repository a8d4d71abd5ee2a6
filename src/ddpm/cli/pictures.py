"""Writing edited pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpm.cli.output import say
from ddpm.system.errors import InputError
from ddpm.system.units import say_count

if TYPE_CHECKING:
    from PIL import Image

SHEET = "sheet.png"
LONGEST = 200
"""Bytes of a folder's name before the hash; file systems allow 255."""


def folder_name(given: Sequence[Path], asked: Mapping[str, Any], of: object) -> str:
    """A folder name unique to pictures and options: "photo-strength0.5-dog-n1-seed0-1f2e3d".

    Args:
        asked: options by name; strings are written alone, numbers after their names, and None is left out.
        of: everything else that determines the result; only the hash depends on it.
    """
    words = [path.stem for path in given]
    words += [_word(name, value) for name, value in asked.items() if value is not None]
    exactly = repr(([str(path.resolve()) for path in given], asked, of))
    return f"{cut('-'.join(map(plain, words)), LONGEST)}-{digest(exactly)}"


def plain(text: str) -> str:
    """A text as part of a file name: letters, digits and dots, with "_" for all others."""
    return "".join(c if c.isalnum() or c == "." else "_" for c in text)


def cut(name: str, most: int) -> str:
    """The start of a name, of at most this many bytes."""
    return name.encode()[:most].decode(errors="ignore")


def digest(text: str) -> str:
    """Six digits that differ if texts do."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]


def _word(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    return value if isinstance(value, str) else f"{name}{value:g}" if isinstance(value, float) else f"{name}{value}"


def names(n: int, further: Iterable[str] = ()) -> list[str]:
    """The file names of n new pictures, their sheet, and further files."""
    return [*further, *(f"{i:05d}.png" for i in range(n)), SHEET]


def refuse_to_overwrite(made: Iterable[Path], given: Iterable[Path] = ()) -> None:
    """Refuse, before sampling, to overwrite anything that these commands have not written.

    Raises:
        InputError: a file to be written is an input (by whatever path) or a picture from elsewhere, or its folder is
            not writable.
    """
    from ddpm.records.provenance import saved

    kept = [path for path in given if path.exists()]
    for path in made:
        place = next(folder for folder in path.absolute().parents if folder.exists())
        if not place.is_dir():
            raise InputError("unwritable", f"cannot write {path}: {place} is a file; choose another --out")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError("unwritable", f"cannot write {path}: {place} is not writable; choose another --out")
        if path.exists() and any(path.samefile(one) for one in kept):
            raise InputError("exists", f"{path} is an input and would be overwritten; choose another --out")
        if path.is_dir() or (path.exists() and not saved(path)):
            raise InputError("exists", f"{path} already exists and was not written by ddpm; choose another --out")


def write(images: "Sequence[Image.Image]", folder: Path, shown: "Sequence[tuple[str, Image.Image]]" = ()) -> None:
    """Write PNGs and a sheet of them, and print the paths.

    Args:
        shown: file names and pictures to write too, first on the sheet.
    """
    from ddpm.images.sheets import row
    from ddpm.records.provenance import save

    files = [*shown, *zip(names(len(images)), images, strict=False)]
    for name, image in files:
        save(image, folder / name)
    save(row([image for _, image in files]), folder / SHEET)
    say(f"{say_count(len(images), 'picture')} in {folder}", str(folder / SHEET))
