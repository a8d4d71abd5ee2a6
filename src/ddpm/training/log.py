"""The log of a run, line by line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, parse_json, whole_lines, write_file

FILE = "log.jsonl"

Kind = Literal[
    "start", "threads", "train", "held-out", "preview", "checkpoint", "score", "warning", "interrupted", "finish"
]


@dataclass(frozen=True)
class Event:
    """A line of the log.

    Attributes:
        kind: the kind of event.
        step: the number of optimiser steps taken so far.
        images: the number of images seen so far.
        values: further values, serialisable as JSON.
    """

    kind: Kind
    step: int
    images: int
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: bytes) -> Self | None:
        """The event of a line of the log; None if it is damaged, as a power failure may leave garbage."""
        try:
            values = parse_json(line)
            kind, step, images = (values.pop(key) for key in ("kind", "step", "images"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        levels, mean, std = values.get("by_level", {}), values.get("mean", []), values.get("std", [])
        counted = all(type(n) is int and 0 <= n < 2**63 for n in (step, images))
        formed = isinstance(levels, dict) and isinstance(mean, list) and isinstance(std, list)
        if not (counted and formed and kind in get_args(Kind) and all(map(str.isdecimal, levels))):
            return None
        numbers = all(isinstance(n, int | float) for n in (*levels.values(), *mean, *std))
        return cls(kind, step, images, values) if numbers else None


class Log:
    """A writer of ``log.jsonl``, with one JSON object per line, and optionally of TensorBoard files.

    Args:
        path: the JSONL file; its folder must exist.
        from_step: the step to resume from: lines of later steps, and that of the end, are dropped, as they will be
            written again; for 0 only the start events are kept.
        from_images: the training images up to that step, by which TensorBoard counts.
        tensorboard: the folder for TensorBoard files, or None.
    """

    def __init__(self, path: Path, from_step: int = 0, from_images: int = 0, tensorboard: Path | None = None) -> None:
        self.path = path
        if path.exists():
            write_file(path, b"".join(line for line in lines_of(path) if _stays(line, from_step)))
        self._writer: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as e:
                raise InputError("missing", "TensorBoard is not installed; run `pip install tensorboard`") from e
            self._writer = SummaryWriter(str(tensorboard), purge_step=from_images + 1 if from_step else 0)

    def write(self, event: Event) -> None:
        """Append an event."""
        line = json.dumps({"kind": event.kind, "step": event.step, "images": event.images, **event.values})
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as f:
            f.write(line + "\n")
        if self._writer is not None:
            for key, value in event.values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{event.kind}/{key}", value, event.images)

    def close(self) -> None:
        """Flush and close the TensorBoard files."""
        if self._writer is not None:
            self._writer.close()


def finished(path: Path) -> bool:
    """Whether the last line of a log is that of the end."""
    last = b""
    for line in lines_of(path) if path.exists() else ():
        last = line
    event = Event.parse(last)
    return event is not None and event.kind == "finish"


def training_seconds(path: Path, images: int | None = None) -> float | None:
    """Sum the training time up to this many images from the speeds in a log; None if unknown.

    Excludes previews, scores, checkpoints and pauses between commands.
    """
    if not path.exists() or images is None:
        return None
    total, before = 0.0, 0
    for event in map(Event.parse, lines_of(path)):
        speed = None if event is None or event.kind != "train" else event.values.get("images_per_s")
        if event is not None and isinstance(speed, int | float) and speed > 0 and before < event.images <= images:
            total += (event.images - before) / speed
            before = event.images
    return total or None


def lines_of(path: Path) -> Iterator[bytes]:
    """Read the complete lines of a log: a killed process may leave half a line.

    Raises:
        InputError: the log cannot be read.
    """
    try:
        yield from whole_lines(path)
    except OSError as e:
        raise InputError(
            "unreadable", f"cannot read {path} ({e.strerror}); restore it from a backup, or remove it"
        ) from e


def _stays(line: bytes, from_step: int) -> bool:
    event = Event.parse(line)
    if event is None or event.kind == "finish":
        return False
    return event.step <= from_step and (from_step > 0 or event.kind == "start")
