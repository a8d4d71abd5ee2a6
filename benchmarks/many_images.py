"""Whether start-up, memory and the cost per image depend on the number of images, from a thousand to 10⁸.

    python benchmarks/many_images.py --rounds 5

Two kinds of sets have n images each: one is a function of the index, and of the other each image is in a .tar, found by
an index of n entries, which is written first (38 bytes an image; the .tar holds only 1,024 images, again and again).
Both are opened as any other streamed source: held-out images are split off, and steps of 64 images are read in the
order of training, decoded in the process that reads them. Each figure comes from a new process; rounds take turns.
Times are the process's CPU times, so that other programs matter little. Memory is what the process does not share with
the page cache.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from tarfile import TarFile, TarInfo
from tempfile import TemporaryDirectory
from typing import overload

import numpy as np
import psutil
from PIL import Image

from ddpm.data.cache import prepare
from ddpm.data.index import ENDS, FACTS, IMAGE, IMAGES, TEXTS, columns
from ddpm.data.loader import Steps
from ddpm.data.order import split
from ddpm.data.shards import read_tar
from ddpm.data.source import ImageColumns, Source, stored_items
from ddpm.data.tar import scan_tar
from ddpm.images.geometry import Geometry
from ddpm.images.pixels import Pixels

KINDS = ("function", "tar")
SIDE, BATCH, CLASSES, DISTINCT = 32, 64, 10, 1024
PIECE = 2**20
"""The entries that are written at a time."""


@dataclass(frozen=True)
class Numbers(Sequence[str]):
    """The names 0 … n - 1, none of which is stored."""

    n: int

    def __len__(self) -> int:
        return self.n

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return [str(i) for i in range(*index.indices(self.n))] if isinstance(index, slice) else str(index)


def drawn(address: str) -> Pixels:
    """The image of a number: noise in the colours of its bits."""
    number = int(address)
    noise = np.arange(SIDE * SIDE * 3, dtype=np.uint32) * np.uint32(2654435761 + 2 * number)
    return (noise >> np.uint32(24)).astype(np.uint8).reshape(SIDE, SIDE, 3)


def function_of(n: int) -> Source:
    """A set whose image i is a function of i."""
    stored = ImageColumns(Numbers(n), None, None)
    return Source(stored_items(stored, ()), drawn, key=f"function {n}", size=n, stored=stored, streamed=True)


def write_tar(path: Path) -> None:
    with TarFile(path, "w") as archive:
        for i in range(DISTINCT):
            file = BytesIO()
            Image.fromarray(drawn(str(i))).save(file, "PNG")
            info = TarInfo(f"{i:06}.png")
            info.size = len(file.getvalue())
            archive.addfile(info, BytesIO(file.getvalue()))


def write_index(folder: Path, archive: Path, n: int) -> None:
    """An index of n images, which are those of the archive in turn."""
    folder.mkdir()
    entries = list(scan_tar(str(archive), lambda _: None))
    turn = np.zeros(len(entries), IMAGE)
    turn["offset"], turn["size"] = [entry.offset for entry in entries], [entry.size for entry in entries]
    width = len("000000000.png\0")
    with (
        (folder / IMAGES).open("wb") as images,
        (folder / ENDS).open("wb") as ends,
        (folder / TEXTS).open("wb") as texts,
    ):
        for first in range(0, n, PIECE):
            numbers = np.arange(first, min(first + PIECE, n))
            rows = turn[numbers % len(turn)]
            rows["label"] = numbers % CLASSES
            images.write(rows.tobytes())
            ends.write(((numbers + 1) * width).astype("<u8").tobytes())
            names = (numbers[:, None] // 10 ** np.arange(8, -1, -1) % 10 + ord("0")).astype(np.uint8)
            texts.write(np.hstack([names, np.tile(np.frombuffer(b".png\0", np.uint8), (len(names), 1))]).tobytes())
    lists = {"locations": [str(archive)], "starts": [0, n], "classes": [str(k) for k in range(CLASSES)], "ignored": []}
    facts = lists | {"captioned": False, "digest": f"{n:064}", "size": int(turn["size"].mean() * n)}
    (folder / FACTS).write_text(json.dumps(facts))


def indexed_in(folder: Path) -> Source:
    """The set of a written index."""
    stored, classes = columns(folder), tuple(str(k) for k in range(CLASSES))
    read = partial(read_tar, folder)
    return Source(stored_items(stored, classes), read, key="tar", classes=classes, size=1, stored=stored, streamed=True)


def measured(source: Source, steps: int) -> dict[str, float]:
    """Seconds to open the set and read a batch, and per image afterwards, and the private memory in MB."""
    began = time.process_time()
    data = prepare(source, Geometry((SIDE, SIDE), "RGB"))
    data.pixels._workers = 1
    kept = data.subset(split(len(data), 0)[0])
    batches = Steps(kept, BATCH, seed=0)
    batches[0]
    start = time.process_time() - began
    first = private_memory()
    began = time.process_time()
    for step in range(1, steps + 1):
        batches[step * (len(kept) // BATCH // steps or 1)]  # spread over an epoch
    seconds = (time.process_time() - began) / (steps * BATCH)
    return {"start": start, "image": seconds, "memory": first, "grown": private_memory() - first}


def private_memory() -> float:
    """The resident memory in MB that is neither shared nor a mapped file."""
    found = psutil.Process().memory_info()
    return (found.rss - getattr(found, "shared", 0)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**k for k in range(3, 9)], help="numbers of images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="batches of 64 per round")
    parser.add_argument("--folder", type=Path, help="where to write the indices; a temporary folder by default")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        kind, n = args.one[0], int(args.one[1])
        source = function_of(n) if kind == "function" else indexed_in(args.folder / str(n))
        print(json.dumps(measured(source, args.steps)))
        return
    with TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        write_tar(folder / "images.tar")
        for n in args.sizes:
            write_index(folder / str(n), folder / "images.tar", n)
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(args.rounds):
            for kind in KINDS:
                for n in args.sizes:
                    command = [sys.executable, __file__, "--steps", str(args.steps), "--folder", str(folder)]
                    done = subprocess.run([*command, "--one", kind, str(n)], capture_output=True, check=True, text=True)
                    found.setdefault((kind, n), []).append(json.loads(done.stdout))
    print("| source | images | start, ms | memory, MB | grown, MB | an image, µs |\n|---|---:|---:|---:|---:|---:|")
    for (kind, n), rounds in found.items():
        middle = {name: median(each[name] for each in rounds) for name in rounds[0]}
        print(
            f"| {kind} | {n:,} | {1e3 * middle['start']:.0f} | {middle['memory']:.0f} | {middle['grown']:.1f} "
            f"| {1e6 * middle['image']:.0f} |"
        )


if __name__ == "__main__":
    main()
