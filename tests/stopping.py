"""Stop trainings, and compare what they leave behind."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from accelerate import Accelerator

from ddpm.planning import follow
from ddpm.system.interrupt import Interrupt
from ddpm.training.job import Job
from ddpm.training.log import Event
from ddpm.training.loop import train


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """Interrupt trainings after this step."""

    def stopped(job: Job, accelerator: Accelerator, interrupt: Interrupt) -> Iterator[Event]:
        for event in train(job, accelerator, interrupt):
            interrupt.requested = event.step >= step
            yield event

    with patch.object(follow, "train", stopped):
        yield


def digests(run: Path, step: int) -> dict[str, str]:
    """The hashes of a run's averaged weights and of all files of a checkpoint, by name."""
    files = [run / "model.safetensors", *sorted((run / "checkpoints" / f"step-{step:09d}").glob("*"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def losses(run: Path) -> list[tuple[int, float]]:
    """The losses of training and of held-out images in a run's log, with their steps."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(e["step"], e["loss"]) for e in events if e["kind"] in ("train", "held-out")]
