"""Open any supported source of images."""

from difflib import get_close_matches
from pathlib import Path

from ddpm.data.arrays import open_digits, open_npz
from ddpm.data.source import Source
from ddpm.data.tree import open_folder, open_zip
from ddpm.system.errors import InputError


def open_source(where: str | Path) -> Source:
    """List the images of a folder, a .zip of one, an .npz, or the built-in ``"digits"`` (``"./digits"`` is a folder).

    Raises:
        InputError: it does not exist, has another type, or holds no images.
    """
    if where == "digits":
        return open_digits()
    path = Path(where).expanduser()
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise InputError(
            "missing", f"{path} does not exist{_nearest(path)}; use a folder of images, a .zip, an .npz, or digits"
        )
    match path.suffix.lower():
        case ".zip":
            return open_zip(path)
        case ".npz":
            return open_npz(path)
        case suffix:
            raise InputError(
                "unreadable",
                f"{path} has an unsupported type ({suffix or 'unknown'}); use a folder of images, a .zip or an .npz",
            )


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" (nor does {folder})"
    close = get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
    return f" (did you mean {folder / close[0]}?)" if close else ""
