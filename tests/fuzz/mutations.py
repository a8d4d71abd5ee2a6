"""Changes to valid files, determined by a seed: of their bytes, of the values in JSON, of tensors and arrays."""

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 1 << 16, 10**6, 1 << 31, 1 << 40, 1 << 63, 10**30, -(10**9), 0.5, 1e-300),
    *(1e300, float("nan"), float("inf"), "", "x", "1", "-1", "nan", "\ud800", "a\nb", "\x1b[31m", "../..", "/dev/zero"),
    *([], {}, [[]], [1], [None], {"a": 1}, [1] * 100_000, "x" * 100_000, {"kind": "unet"}, [float("nan")], ["a", "a"]),
)
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def changed_bytes(data: bytes, draw: random.Random) -> bytes:
    """A file with one to four places changed."""
    content = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(content) + 1) if draw.random() < 0.5 else draw.randrange(min(len(content), 400) + 1)
        match draw.randrange(9):
            case 0 if content:
                content[at % len(content)] ^= 1 << draw.randrange(8)
            case 1:
                del content[at:]
            case 2:
                del content[at : at + draw.choice((1, 4, 64, 1000))]
            case 3:
                content[at:at] = draw.randbytes(draw.choice((1, 4, 64)))
            case 4:
                content[at:at] = content[at : at + draw.choice((8, 64, 1000))] * draw.choice((1, 2, 50))
            case 5:
                number, form = draw.choice(NUMBERS), draw.choice(("<I", ">I", "<Q", ">Q", "<H", ">H"))
                size = struct.calcsize(form)
                content[at : at + size] = struct.pack(form, number % (1 << 8 * size))
            case 6:
                content[at:at] = draw.choice(
                    (b"\0", b"\n", b'"', b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b"\xff\xfe")
                )
            case 7:
                content = bytearray(draw.choice((b"", b"{}", b"[]", b"null", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x02")))
            case _:
                draw.shuffle(parts := [content[i : i + 64] for i in range(0, min(len(content), 1 << 16), 64)])
                content = bytearray(b"".join(parts))
    return bytes(content)


def changed_json(data: bytes, draw: random.Random) -> bytes:
    """JSON with one or two of its values replaced, removed, repeated or added."""
    tree = json.loads(data)
    for _ in range(draw.choice((1, 1, 2))):
        groups = [tree] if isinstance(tree, dict | list) else []
        for group in groups:
            inner = group.values() if isinstance(group, dict) else group
            groups += [one for one in inner if isinstance(one, dict | list) and one][:100]
        group = draw.choice(groups or [{}])
        keys = list(group) if isinstance(group, dict) else list(range(len(group)))
        key, value = draw.choice(keys) if keys else None, draw.choice(NASTY)
        match draw.randrange(5):
            case 0 if keys:
                del group[key]
            case 1 if isinstance(group, dict):
                group[draw.choice(("kind", "name", "x", "format", ""))] = value
            case 2 if keys and isinstance(group, list):
                group *= draw.choice((0, 2, 3000))
            case _ if keys:
                group[key] = value
    return json.dumps(tree).encode()


def changed_tensors(tensors: dict[str, torch.Tensor], draw: random.Random) -> dict[str, torch.Tensor]:
    """Tensors with one of another type, shape or name, or with values that are no numbers."""
    name = draw.choice(sorted(tensors))
    tensor, left = tensors[name], {key: value for key, value in tensors.items() if key != name}
    types = (torch.int8, torch.bool, torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.int64)
    match draw.randrange(8):
        case 0:
            return left
        case 1:
            return left | {draw.choice((f"{name}.x", "", "x" * 1000, "\n")): tensor}
        case 2:
            return left | {name: tensor[None].clone()}
        case 3:
            return left | {name: torch.zeros(0)}
        case 4:
            return left | {name: torch.full_like(tensor, draw.choice((float("nan"), float("inf"))))}
        case 5:
            return left | {name: tensor.flatten()[:1].clone()}
        case _:
            return left | {name: tensor.to(draw.choice(types))}


def unusual(path: Path, draw: random.Random) -> None:
    """Put something else than a file in its place: a folder, a pipe, a link."""
    path.unlink()
    make: Callable[[], Any] = draw.choice(
        (
            path.mkdir,
            lambda: os.mkfifo(path),
            lambda: path.symlink_to("/dev/zero"),
            lambda: path.symlink_to(path.name),
            lambda: path.symlink_to("nowhere"),
            lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 4 << 30),
        )
    )
    make()
