"""Files that are cut off, renamed or made to do harm."""

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from published_dit import make_state

Content = bytes | Callable[[Path], bytes]


def zipped(state: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(state, out, **options)
    return out.getvalue()


def archive(records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in records.items():
            file.writestr(f"archive/{name}", data)
    return out.getvalue()


def tensor_pickle(shape: tuple[int, ...], stride: tuple[int, ...], numel: int, offset: int = 0) -> bytes:
    """A pickle of a state with one tensor, as torch.save writes it, of any shape."""

    def number(n: int) -> bytes:
        data = pickle.encode_long(n)
        return b"\x8a" + bytes([len(data)]) + data

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    def word(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + word("storage") + b"ctorch\nFloatStorage\n" + word("0") + word("cpu") + number(numel) + b"tQ"
    rebuilt = b"(" + storage + number(offset) + numbers(shape) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)Rt"
    return b"\x80\x02}" + word("w") + b"ctorch._utils\n_rebuild_tensor_v2\n" + rebuilt + b"Rs."


def harmful() -> Iterator[tuple[str, str, Content]]:
    """Name, suffix and content of files that would run code or take much memory."""
    valid = {"version": b"3\n", "byteorder": b"little", "data/0": bytes(64)}
    calls = {
        "posix system": b'(X\x11\x00\x00\x00touch "$CANARY" ##tR.',
        "builtins eval": b"(X\x03\x00\x00\x001+1tR.",
        "builtins exec": b"(X\x04\x00\x00\x00passtR.",
        "subprocess Popen": b"(X\x04\x00\x00\x00truetR.",
        "torch.hub load": b"(X\x01\x00\x00\x00atR.",
        "builtins bytearray": b"\x8a\x05\x00\x00\x00\x00\x40\x85R.",
        "torch Tensor": b"(\x8a\x05\x00\x00\x00\x00\x40tR.",
        "pytorch_lightning.callbacks ModelCheckpoint": b")R.",
    }
    for name, arguments in calls.items():
        module, function = name.split()
        yield (
            name,
            ".pt",
            archive(valid | {"data.pkl": f"\x80\x02c{module}\n{function}\n".encode("latin1") + arguments}),
        )
    for protocol in range(3, 6):
        yield (
            f"protocol {protocol}",
            ".ckpt",
            lambda canary, p=protocol: zipped({"w": Touch(canary)}, pickle_protocol=p),
        )
    yield "an object", ".pt", lambda canary: zipped({"w": torch.ones(3), "x": Touch(canary)})
    yield "a legacy object", ".bin", lambda canary: zipped({"x": Touch(canary)}, _use_new_zipfile_serialization=False)
    yield "a bare pickle", ".pt", lambda canary: pickle.dumps(Touch(canary))
    yield "a pickle named safetensors", ".safetensors", lambda canary: pickle.dumps(Touch(canary))
    huge = 10**12
    for name, shape, stride, numel, offset in (
        ("a huge tensor", (huge,), (1,), huge, 0),
        ("a huge view", (10**6, 10**6), (0, 0), 16, 0),
        ("a tensor beyond its record", (10**6,), (1,), 16, 0),
        ("an offset beyond its record", (4,), (1,), 16, 10**9),
        ("a negative size", (-4,), (1,), 16, 0),
        ("a negative stride", (4,), (-1,), 16, 0),
        ("a storage larger than its record", (32,), (1,), 32, 0),
    ):
        yield name, ".pt", archive(valid | {"data.pkl": tensor_pickle(shape, stride, numel, offset)})
    plain = tensor_pickle((16,), (1,), 16)
    yield "a zip bomb", ".pt", archive(valid | {"data.pkl": plain, "data/1": bytes(200 << 20)}, zipfile.ZIP_DEFLATED)
    yield "a compressed pickle", ".pth", archive(valid | {"data.pkl": plain}, zipfile.ZIP_DEFLATED)
    yield "a long pickle", ".pt", archive(valid | {"data.pkl": plain + bytes(40 << 20)})
    yield "many records", ".pt", lambda _: many_records(plain)
    yield "nested lists", ".pt", archive(valid | {"data.pkl": b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b"."})
    laughs = b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(40)
    )
    yield "lists of the same list", ".pt", archive(valid | {"data.pkl": laughs + b"."})
    yield "itself", ".pt", archive(valid | {"data.pkl": b"\x80\x02]q\x00h\x00a."})
    header = json.dumps({"w": {"dtype": "F32", "shape": [huge], "data_offsets": [0, 4 * huge]}}).encode()
    yield "a huge safetensor", ".safetensors", struct.pack("<Q", len(header)) + header + bytes(64)
    yield "a huge header", ".safetensors", struct.pack("<Q", huge) + b"{" + bytes(64)
    yield "a long header", ".safetensors", struct.pack("<Q", 20 << 20) + b"{" + b" " * (20 << 20)
    overflow = json.dumps({"w": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 0]}}).encode()
    yield "an overflowing shape", ".safetensors", struct.pack("<Q", len(overflow)) + overflow
    deep = b"[" * 100_000
    yield "a deep header", ".safetensors", struct.pack("<Q", len(deep) + 1) + b"{" + deep
    yield "a deep index", ".safetensors.index.json", deep


def many_records(plain: bytes) -> bytes:
    """An archive whose directory says that there are very many records, without the records."""
    content = archive({"data.pkl": plain, **{f"data/{i}": b"" for i in range(3)}})
    end = content.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", content, end + 16)[0]
    directory = content[start:end]
    larger = directory * (30_000_000 // len(directory))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(larger), start, 0)
    return content[:start] + larger + tail


class Touch:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.open, (str(self.path), os.O_CREAT)


def damaged(seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Cut-off, renamed and other files."""
    draw = random.Random(seed)
    for suffix, content in ((".pt", zipped(make_state())), (".safetensors", save(make_state()))):
        for _ in range(8):
            n = draw.randrange(1, len(content))
            yield f"the first {n} bytes", suffix, content[:n]
        yield "appended", suffix, content + b"more"
        yield "prepended", suffix, b"more" + content
        yield "renamed", ".safetensors" if suffix == ".pt" else ".pt", content
    yield "legacy", ".pt", zipped(make_state(), _use_new_zipfile_serialization=False)
    kinds = {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff\xe0",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "html": b"<!DOCTYPE html>",
        "gzip": b"\x1f\x8b\x08",
        "hdf5": b"\x89HDF\r\n",
        "numpy": b"\x93NUMPY",
        "gguf": b"GGUF",
        "text": b"epoch 3\n",
        "zeros": bytes(8),
        "empty": b"",
        "tar": bytes(257) + b"ustar",
    }
    for name, start in kinds.items():
        for suffix in (".pt", ".ckpt", ".safetensors"):
            yield name, suffix, start + (b"" if name == "empty" else draw.randbytes(600))
    for name, state in {
        "no tensors": {"step": 3, "version": "1"},
        "a number": 3,
        "an empty state": {},
        "a sparse tensor": {"w": torch.eye(3).to_sparse()},
        "a complex tensor": {"w": torch.ones(3, dtype=torch.complex64)},
        "a tensor without values": {"w": torch.ones(3, device="meta")},
    }.items():
        yield name, ".pt", zipped(state)
    yield "another zip", ".pt", archive({"mimetype": b"application/epub+zip"})
    for name in (
        "[]",
        "{}",
        '{"weight_map": 3}',
        '{"weight_map": {"w": "../w.safetensors"}}',
        '{"weight_map": {"w": 1}}',
    ):
        yield name, ".safetensors.index.json", name.encode()
