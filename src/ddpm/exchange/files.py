"""The tensors in a file of another program: safetensors, whole or in shards, and PyTorch's files."""

import re
from collections.abc import Callable
from pathlib import Path

from ddpm.exchange.pickles import read_pickle
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError
from ddpm.system.files import open_regular, parse_json, read_file
from ddpm.system.tensors import load_tensors

INDEX = re.compile(r".*\.index(\.\w+)?\.json")
"""The names of files that say which shard holds each tensor, of a model or of a variant of it."""
LONGEST_INDEX = 16 << 20
"""The largest index, in bytes; published ones have less than 1 MB."""
KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; run `git lfs pull` to download it"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"RIFF", "a WebP picture or a sound"),
    (b"\x89HDF", "an HDF5 file, as Keras writes"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"GGUF", "a GGUF file"),
    (b"<", "a web page, as failed downloads are; download it again"),
    (b"\x80", "a pickle, or saved by PyTorch before 1.6; there, save it again as torch.save(torch.load(old), new)"),
    (b"PK", "a zip file, as PyTorch writes; rename it to end in .pt"),
)
"""Kinds of files by their first bytes."""


def read_tensors(path: Path) -> Weights:
    """The tensors in a file, on the CPU and mapped into memory rather than read.

    Those in nested states have names joined by dots, ``state["ema"]["conv.weight"]`` being "ema.conv.weight"; plain
    values next to them, such as a step number, are left out.

    Args:
        path: a .safetensors file, PyTorch's .pt, .pth, .ckpt or .bin, or the .index.json of shards in its folder.

    Raises:
        InputError: the file is missing, damaged, of another type, or would run code.
    """
    if INDEX.fullmatch(path.name):
        return _read_shards(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(
            "unreadable", f"the type of {path} is unknown; its name must end in {', '.join(READERS)} or .index.json"
        )
    _check(path)
    return read(path)


def holds_tensors(path: Path) -> bool:
    """Whether a file's name is one of those that :func:`read_tensors` reads."""
    return path.is_file() and (path.suffix.lower() in READERS or INDEX.fullmatch(path.name) is not None)


def _check(path: Path) -> None:
    """Check the first bytes of a file.

    Raises:
        InputError: it cannot be read, or its type is not the one its name says.
    """
    try:
        with open_regular(path) as file:
            head = file.read(512)
    except FileNotFoundError:
        raise InputError("missing", f"{path} does not exist; check the path") from None
    except OSError as error:
        raise InputError("unreadable", f"cannot read {path} ({error.strerror}); use a file that can be read") from error
    if not head:
        raise InputError("unreadable", f"{path} is empty; download it again")
    if head[257:262] == b"ustar":
        raise InputError("unreadable", f"{path} is a tar archive; unpack it, and import what it contains")
    if path.suffix.lower() == ".safetensors":
        # a header's length, and the brace that the header begins with
        expected = len(head) > 8 and head[8:9] == b"{"
    else:
        expected = head.startswith(b"PK\x03\x04")
    if expected:
        return
    kind = next((words for magic, words in KNOWN if head.startswith(magic)), None)
    if kind is None and head[8:9] == b"{":
        kind = "a safetensors file; rename it to end in .safetensors"
    raise InputError("unreadable", f"{path} is {kind or f'damaged, or not a {path.suffix} file'}")


def _read_safetensors(path: Path) -> Weights:
    try:
        return load_tensors(path)
    except (OSError, ValueError) as error:
        raise InputError("unreadable", f"{path} is cut off or damaged ({error}); download it again") from error


def _read_shards(path: Path) -> Weights:
    """The tensors of several files, as an index in their folder lists them."""
    try:
        files = parse_json(read_file(path, LONGEST_INDEX))["weight_map"]
        if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
            raise ValueError("weight_map must map tensors to files")
    except FileNotFoundError:
        raise InputError("missing", f"{path} does not exist; check the path") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("unreadable", f"{path} is not an index of shards ({error}); download it again") from error
    found: Weights = {}
    for shard in sorted(set(files.values())):
        if Path(shard).name != shard or INDEX.fullmatch(shard):
            raise InputError("unreadable", f"{path} names the file {shard!r}, which must be one in its own folder")
        tensors = read_tensors(path.parent / shard)
        listed = {name for name, where in files.items() if where == shard}
        if wrong := sorted(listed ^ tensors.keys()):
            raise InputError(
                "unreadable",
                f"{path} and {shard} do not belong together, as only one of them has {wrong[0]}; download both again",
            )
        found |= tensors
    return found


READERS: dict[str, Callable[[Path], Weights]] = {
    ".safetensors": _read_safetensors,
    ".pt": read_pickle,
    ".pth": read_pickle,
    ".ckpt": read_pickle,
    ".bin": read_pickle,
}
"""Readers of files, by the end of their names."""
