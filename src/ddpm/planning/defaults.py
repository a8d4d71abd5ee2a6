"""Defaults that all trainings share."""

from typing import Any

LONG, SHORT = "1h", "10m"
"""The budgets if none is given: of runs and autoencoders, and of students and classifiers."""
PRECISIONS = {"bf16": "bf16", "fp16": "fp16", "no": "fp32"}
"""The precision of a run for that of accelerate."""


def per_process(batch: int, processes: int) -> int:
    """The images of a batch in each process, which are its micro-batch unless memory is short."""
    return -(-batch // processes)


def intervals(batch: int, images: int) -> dict[str, Any]:
    """The images between checkpoints and between lines of the log, for a training on this many images."""
    return {"checkpoint_every": max(batch, images // 20), "log_every": max(batch, images // 200)}
