"""The progress of a training, by its log."""

import json
import os
from pathlib import Path
from typing import Any

from ddpm.records.run_folder import RunFolder

TAIL = 1 << 18
"""The end of a log that is read, in bytes."""
SHOWN = 400
"""The points of a curve."""


def progress(folder: RunFolder) -> dict[str, Any]:
    """The progress by a run's log: images, of how many, images/s, seconds left, loss curve, preview, score."""
    found: dict[str, Any] = {"images": 0, "of": None, "loss": [], "preview": None, "finished": False}
    for event in _events(folder.log):
        kind = event.get("kind")
        found["images"] = event.get("images", found["images"])
        if kind == "start":
            found["of"] = event.get("of")
        elif kind == "train":
            found["loss"].append([event.get("images"), event.get("loss")])
            found["images_per_s"], found["seconds"] = event.get("images_per_s"), event.get("eta_s")
        elif kind == "preview":
            found["preview"] = Path(str(event.get("path"))).name
        elif kind == "score":
            found["score"] = {name: event.get(name) for name in ("frechet", "n") if name in event}
        elif kind == "finish":
            found["finished"] = True
    stride = -(-len(found["loss"]) // SHOWN) or 1
    found["loss"] = found["loss"][::stride]
    return found


def last_lines(path: Path) -> list[bytes]:
    """The lines at the end of a file, without one that is cut at its start; none if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(max(0, size - TAIL))
            return file.read().splitlines()[size > TAIL :]
    except OSError:
        return []


def _first_line(path: Path) -> list[bytes]:
    """The first line of a file that is longer than what is read of its end."""
    try:
        with path.open("rb") as file:
            return [file.readline(TAIL)] if os.fstat(file.fileno()).st_size > TAIL else []
    except OSError:
        return []


def _events(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in [*_first_line(path), *last_lines(path)]:
        try:
            event = json.loads(line, parse_constant=lambda _: None)  # no browser reads NaN
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found
