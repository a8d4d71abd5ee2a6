"""The log of a run, line by line."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ddpm.system.files import disk_errors, write_file

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


class Log:
    """A writer of ``log.jsonl``, with one JSON object per line, and optionally of TensorBoard files.

    Args:
        path: the JSONL file; its folder must exist.
        from_step: the step to resume from: lines of later steps are dropped, as they will be written again; for 0 only
            the start events are kept.
        tensorboard: the folder for TensorBoard files, or None.
    """

    def __init__(self, path: Path, from_step: int = 0, tensorboard: Path | None = None) -> None:
        self.path = path
        if path.exists():
            write_file(path, b"".join(line for line in _whole_lines(path) if _stays(line, from_step)))
        self._writer: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as e:
                from ddpm.system.errors import InputError

                raise InputError("missing", "TensorBoard is not installed; run `pip install tensorboard`") from e
            self._writer = SummaryWriter(str(tensorboard), purge_step=from_step)

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


def training_seconds(path: Path, images: int | None = None) -> float | None:
    """Sum the training time up to this many images from the speeds in a log; None if unknown.

    Excludes previews, scores, checkpoints and pauses between commands.
    """
    if not path.exists() or images is None:
        return None
    total, before = 0.0, 0
    for line in _whole_lines(path):
        try:
            event = json.loads(line)
            if event["kind"] == "train" and before < event["images"] <= images and event["images_per_s"]:
                total += (event["images"] - before) / event["images_per_s"]
                before = event["images"]
        except (ValueError, KeyError, TypeError):  # a power failure may leave garbage
            continue
    return total or None


def _whole_lines(path: Path) -> list[bytes]:
    """Read the complete lines: a killed process may leave half a line."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _stays(line: bytes, from_step: int) -> bool:
    try:
        event = json.loads(line)
        return event["step"] <= from_step and (from_step > 0 or event["kind"] == "start")
    except (ValueError, KeyError, TypeError):  # a power failure may leave garbage
        return False
