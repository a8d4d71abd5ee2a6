"""What every test gets: a cache of its own and a fresh accelerator; and small runs that several tests share."""

import gc
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hypothesis import settings
from PIL import Image

import looks
from ddpm.cli import main
from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels
from ddpm.pipeline import Pipeline
from ddpm.planning import budget
from flags import TINY

gc.disable()  # until the million objects of imported modules are there
settings.register_profile("any machine", deadline=None)  # a busy one may take any time for an example
settings.load_profile("any machine")
torch.set_num_threads(1)  # bit for bit is promised at one number of threads

Cli = Callable[..., int]
Make = Callable[..., bytes]


def pytest_collection_finish() -> None:
    """Search for garbage seldom, and not among what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDPM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_power_cut() -> Iterator[None]:
    """Nothing waits for a disk: a sync protects from a loss of power, which no test brings about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _short_trials() -> Iterator[None]:
    """Speeds are measured for an instant: no test reads more from them than that they are numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "TRIAL", 0.05)
        yield


@pytest.fixture(autouse=True, scope="session")
def _short_looks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        looks.shorten(patch.setattr)
        yield


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    """accelerate keeps one state for the whole process."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True, mixed_precision="no")


def run_cli(*argv: str) -> int:
    """``ddpm …`` in this process; its exit code."""
    AcceleratorState._reset_state(True)
    try:
        main([str(word) for word in argv])
    except SystemExit as e:
        return int(e.code or 0)
    finally:
        AcceleratorState._reset_state(True)
    return 0


@pytest.fixture(scope="session")
def cli() -> Cli:
    return run_cli


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the digits with its classes, for reading only: 12 steps, checkpoints at 8 and 12."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    flags = ("--images", "192", "--batch", "16", "--precision", "fp32", "--set", "training.checkpoint_every=64")
    assert run_cli("train", "digits", "--out", str(out), *flags, *TINY) == 0
    return out


@pytest.fixture(scope="session")
def enlarging_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that makes digits of 4 × 4 twice as large, with their classes, for reading only."""
    out = tmp_path_factory.mktemp("runs") / "enlarging"
    flags = ("--images", "192", "--batch", "16", "--precision", "fp32", "--recipe", "super-resolution", "--scale", "2")
    assert run_cli("train", "digits", "--out", str(out), *flags, *TINY) == 0
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of random pictures: ``folder(n, size=(H, W), mode="RGB", classes=())``."""

    def make(
        n: int = 6, size: tuple[int, int] = (8, 8), mode: str = "RGB", classes: Sequence[str] = (), name: str = "photos"
    ) -> Path:
        root = tmp_path / name
        shape = (*size, len(mode)) if len(mode) > 1 else size
        for i in range(n):
            where = root / classes[i % len(classes)] if classes else root
            where.mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(i).integers(0, 256, shape, np.uint8)
            Image.fromarray(values, mode).save(where / f"{i}.png")
        return root

    return make


@pytest.fixture(scope="session")
def raw_png_60000() -> bytes:
    """A PNG of a few bytes whose header says 60,000 × 60,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


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


@pytest.fixture(scope="session")
def loaded(digits_run: Path) -> LoadedRun:
    return load(digits_run, "cpu")


@pytest.fixture(scope="session")
def pipe(loaded: LoadedRun) -> Pipeline:
    return Pipeline(loaded)


@pytest.fixture(scope="session")
def images() -> Pixels:
    """18 digits, more than a batch is filled up to; (18, 8, 8, 1)."""
    return prepare(open_source("digits"), Geometry()).read(np.arange(18))
