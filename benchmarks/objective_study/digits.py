"""Small runs on scikit-learn's digits, each by the command and its configuration alone, in this process."""

import io
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from ddpm.evaluation.during import few_samples
from ddpm.evaluation.guidance import after_training
from ddpm.planning.session import Session
from ddpm.planning.training import Command
from ddpm.training.loop import Diverged

NETWORK: dict[str, Any] = {
    "network.width": 32,
    "network.multipliers": [1, 1],
    "network.attention": [],
}
"""Cheaper than what ``ddpm train`` takes for so few images: fewer channels, and attention in the middle alone."""


class Failed(RuntimeError):
    """A run that ended before its budget, with what it said."""


def train(out: Path, images: int, changes: Mapping[str, Any], keep: int = 1) -> float:
    """What ``ddpm train digits --images … --set …`` does, from the start; returns its seconds.

    Args:
        changes: keys of the config, as ``--set`` takes them.
        keep: checkpoints, evenly spread, the last among them.

    Raises:
        InputError: the configuration is refused.
        Failed: training diverged.
        Interrupted: somebody stopped it.
    """
    shutil.rmtree(out, ignore_errors=True)
    quiet = {
        "training.previews": 0,
        "training.checkpoint_every": max(1, images // keep),
        "training.keep": keep + 1,
        "training.log_every": max(1, images // 20),
    }
    settings = [f"{key}={json.dumps(value)}" for key, value in (NETWORK | quiet | dict(changes)).items()]
    began, said = time.monotonic(), io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            asked = {"images": str(images), "set": settings}
            Session("digits", asked, Command(out, few_samples, after_training), began).run()
    except Diverged as e:
        raise Failed(str(e)) from e
    return time.monotonic() - began
