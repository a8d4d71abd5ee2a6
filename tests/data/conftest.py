import struct
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Make = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def save() -> Make:
    """A picture's file, from Pillow."""

    def make(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
        out = BytesIO()
        image.save(out, format, **options)
        return out.getvalue()

    return make


@pytest.fixture
def png(save: Make) -> Make:
    """A file of one colour, which the seed decides."""

    def make(seed: int = 0, size: tuple[int, int] = (4, 4), mode: str = "RGB") -> bytes:
        values = np.random.default_rng(seed).integers(0, 256, 4)
        colour = tuple(int(v) for v in values)[: len(Image.new(mode, (1, 1)).getbands())]
        return save(Image.new(mode, size[::-1], colour if len(colour) > 1 else colour[0]))

    return make


@pytest.fixture
def raw_png() -> Make:
    """A PNG written by hand, for what Pillow does not write: (depth, colour type, each row's bytes)."""

    def make(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        stride = len(rows) // height if rows else 0
        filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height if rows else 0))
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + parts

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, bytes | str]], Path]:
    """A folder with these files."""

    def make(files: Mapping[str, bytes | str]) -> Path:
        root = tmp_path / "tree"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return make
