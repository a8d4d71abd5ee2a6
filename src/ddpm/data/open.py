"""Open any supported source of images."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ddpm.config.data import DataConfig
from ddpm.data.archive import open_zip
from ddpm.data.arrays import open_digits, open_npz
from ddpm.data.folder import open_folder
from ddpm.data.shards import open_shards, shards_of
from ddpm.data.source import Source
from ddpm.images.reduced import MAX_PIXELS
from ddpm.system.errors import InputError
from ddpm.system.filenames import refuse_bytes
from ddpm.system.files import with_home
from ddpm.system.pointers import pointer_in

SUPPORTED = "a folder of images, a .zip, an .npz, .tar or .parquet files"
"""What can be opened, in messages."""


def open_source(where: str | Path, split: str | None = None, max_pixels: int | None = None) -> Source:
    """List the images of any of these: a folder, a .zip of one, an .npz, .tar or .parquet files, or ``"digits"``.

    Files of many images may be given by a folder, a pattern or a URL. ``"./digits"`` is a folder.

    Args:
        split: Which of the folders train, val and test to use; see :func:`~ddpm.data.splits.chosen`.
        max_pixels: The largest number of pixels of an image to decode.

    Raises:
        InputError: it does not exist, has another type, or holds no images.
    """
    most = MAX_PIXELS if max_pixels is None else max_pixels
    refuse_bytes(where)
    path = with_home(where)
    if where != "digits" and (shards := shards_of(str(where))):
        return open_shards(str(where), shards, split, most)
    if where != "digits" and path.is_dir():
        return open_folder(path, split, most)
    if where != "digits" and not path.exists():
        raise InputError(
            "missing",
            f"{path} does not exist{_nearest(path)}; use {SUPPORTED}, or digits",
        )
    if split is not None and path.suffix.lower() != ".zip":
        raise InputError("conflict", f"{where} has no folders, so --split has no effect; drop it")
    if max_pixels is not None and (where == "digits" or path.suffix.lower() == ".npz"):
        raise InputError("conflict", f"{where} has decoded images, so --max-pixels has no effect; drop it")
    if where == "digits":
        return open_digits()
    if not path.is_file():
        raise InputError("unreadable", f"{path} is not a regular file; use {SUPPORTED}")
    if found := pointer_in(path):
        raise InputError("missing", f"{path} is {found}")
    match path.suffix.lower():
        case ".zip":
            return open_zip(path, split, most)
        case ".npz":
            return open_npz(path)
        case suffix:
            raise InputError(
                "unreadable",
                f"{path} has an unsupported type ({suffix or 'unknown'}); use {SUPPORTED}",
            )


def reopen_source(data: DataConfig) -> Source:
    """List the images that a run was trained on, with its classes in the order of its labels.

    Raises:
        InputError: see :func:`open_source`.
    """
    return replace(
        open_source(data.source, data.split, data.max_pixels).with_classes(data.classes), streamed=data.streamed
    )


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" (nor does {folder})"
    close = get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
    return f" (did you mean {folder / close[0]}?)" if close else ""
