"""PyTorch's files: a zip archive of a pickle, which may only rebuild tensors, and of their values."""

import itertools
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ddpm.system.errors import InputError

MOST_RECORDS, MOST_VALUES = 100_000, 200_000
"""The most records of an archive, and the most values in its pickle; published models have a few thousand."""
LONGEST_PICKLE = 32 << 20
"""The largest pickle that is read, in bytes; it holds names and shapes, but no values."""
PROTOCOL = 2
"""The protocol of PyTorch's pickles."""
DEEPEST = 32
"""The deepest nesting of states."""
LARGEST_DIRECTORY = 200 * MOST_RECORDS
"""The largest directory of an archive, in bytes."""
END, END64, LOCATOR = struct.Struct("<4s8xI6x"), struct.Struct("<4s36xQ8x"), 20
"""The last bytes of a zip archive, those of a large one before them, and the number of bytes between; each is a magic
number, and the size of the directory."""

LAYOUT = re.compile(
    r"data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)
"""The records of an archive, within its only folder."""
ALLOWED = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)"
    r"|torch (\w+Storage|Size|device|b?float\d*|u?int\d+|bool)"
)
"""Calls that a pickle may make: fewer than in PyTorch's own list, to rule out those that allocate memory."""


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file that ``torch.save`` wrote; see :func:`ddpm.exchange.files.read_tensors`.

    No code in it is run: the pickle is checked first, and read with ``weights_only``. Nothing larger than the file is
    allocated: the archive's directory is checked first, and tensors are views of the file.

    Raises:
        InputError: it is damaged, or would run code.
    """
    try:
        sizes = _check_archive(path)
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        return _tensors(state, sizes, path)
    except InputError:
        raise
    except Exception as error:  # a damaged archive leads to errors of many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("unreadable", f"{path} is cut off or damaged ({reason}); download it again") from error


def _check_archive(path: Path) -> set[int]:
    """Check the directory of an archive and its pickle, and return the sizes of its tensors' records in bytes."""
    length = path.stat().st_size
    if _directory_size(path) > LARGEST_DIRECTORY:
        raise InputError("unreadable", f"{path} has more than {MOST_RECORDS} records, as no model does; it is damaged")
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        names = [record.filename.partition("/")[2] for record in records]
        folders = {record.filename.partition("/")[0] for record in records}
        if any(name.startswith("code/") for name in names):
            raise InputError(
                "unreadable",
                f"{path} is a TorchScript program, which is not read; save its state_dict() with torch.save",
            )
        strange = [r.filename for r, name in zip(records, names, strict=True) if not LAYOUT.fullmatch(name)]
        if strange or len(folders) != 1 or "data.pkl" not in names or len(set(names)) < len(names):
            raise InputError(
                "unreadable",
                f"{path} is a zip file, but torch.save did not write it ({(strange or ['no data.pkl'])[0]!r})",
            )
        for record in records:
            if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
                raise InputError(
                    "unreadable", f"{path} has a compressed record, {record.filename}, which torch.save does not write"
                )
            if record.header_offset + record.file_size > length or record.compress_size != record.file_size:
                raise InputError(
                    "unreadable",
                    f"{path} has a record beyond its end, {record.filename}; it is cut off: download it again",
                )
        if sum(record.file_size for record in records) > length:
            raise InputError("unreadable", f"{path} has more data than bytes, as its records overlap; it is damaged")
        pickle = records[names.index("data.pkl")]
        if pickle.file_size > LONGEST_PICKLE:
            raise InputError(
                "unreadable",
                f"{path} has a pickle of {pickle.file_size} bytes, above {LONGEST_PICKLE}; it is not the "
                "state of a model",
            )
        _check_pickle(archive.read(pickle), path)
    return {r.file_size for r, name in zip(records, names, strict=True) if name.startswith("data/")}


def _directory_size(path: Path) -> int:
    """The size of the archive's directory in bytes, as the end of the file says; it is read as a whole."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END64.size - LOCATOR - END.size))
        tail = file.read()
    magic, size = END.unpack(tail[-END.size :]) if len(tail) >= END.size else (b"", 0)
    if magic != b"PK\x05\x06":
        raise InputError("unreadable", f"{path} is cut off, as the end of its archive is missing; download it again")
    if tail.startswith(b"PK\x06\x06") and len(tail) == END64.size + LOCATOR + END.size:
        _, size = END64.unpack(tail[: END64.size])
    return int(size)


def _check_pickle(data: bytes, path: Path) -> None:
    """Check that a pickle calls nothing but what rebuilds tensors."""
    words = ["", ""]
    for code, value, _ in pickletools.genops(data):
        if code.name == "PROTO" and value != PROTOCOL:
            raise InputError(
                "unreadable", f"{path} has a pickle of protocol {value}, not {PROTOCOL}; save it with torch.save's own"
            )
        if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
            called = str(value) if value else " ".join(words)
            if not ALLOWED.fullmatch(called):
                raise InputError(
                    "unreadable",
                    f"{path} calls {called.replace(' ', '.')} when it is read, which could run any code; save "
                    "its weights alone, as .safetensors or with torch.save(state_dict)",
                )
        elif isinstance(value, str):
            words = [words[1], value]


def _tensors(state: Any, sizes: set[int], path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, value in _leaves(state, path, itertools.count()):
        if not isinstance(value, torch.Tensor):
            continue
        if name in found:
            raise InputError("unreadable", f"{path} has two tensors {name}; it is not the state of a model")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
            raise InputError(
                "unreadable",
                f"{path} has a tensor {name} that is sparse, quantised, complex or without values; save it densely",
            )
        stored = value.untyped_storage().nbytes()
        if stored not in sizes or value.numel() * value.element_size() > stored:
            raise InputError(
                "unreadable", f"{path} is damaged: {name} of shape {tuple(value.shape)} has other sizes than its record"
            )
        found[name] = value.detach()
    if not found:
        raise InputError("unreadable", f"{path} contains no tensors; use a file of a model's weights")
    return found


def _leaves(value: Any, path: Path, count: Iterator[int], name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The values in nested mappings and lists, with their names joined by dots; a shared one counts each time."""
    if depth > DEEPEST or next(count) > MOST_VALUES:
        raise InputError("unreadable", f"{path} nests more values than the state of a model; it is damaged")
    if isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, path, count, f"{name}.{key}" if name else str(key), depth + 1)
    else:
        yield name, value
