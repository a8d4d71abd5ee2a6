"""The default recipe of earlier development versions, as explicit settings of ``ddpm train``."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.planning.budget import SPARE
from ddpm.system.tree import hints

FINEST, COARSEST = 32, 4
"""The most positions per side at the network's finest level, and the fewest at its coarsest."""
LADDER = (
    # training images from which it beats the row above, width, patch for sides of 32, blocks, batch, learning rate
    (0, 32, 2, 1, 64, 3e-3),
    (60_000, 48, 2, 1, 64, 3e-3),
    (120_000, 64, 2, 1, 64, 1.5e-3),
    (600_000, 96, 2, 2, 128, 1e-3),
    (1_500_000, 128, 2, 2, 128, 8e-4),
    (4_000_000, 96, 1, 2, 128, 5e-4),
    (8_000_000, 128, 1, 2, 128, 4e-4),
)
FIXED: dict[str, dict[str, Any]] = {
    "diffusion": {"schedule": "cosine", "prediction": "v", "variance": "small"},
    "objective": {"loss": "simple", "weighting": "simple", "levels": "uniform"},
    "network": {"kind": "unet", "head_width": None, "dropout": 0.0, "scale_shift": False},
    "training": {
        "label_dropout": 0.05,
        "decay": 0.8,
        "weight_decay": 0.0,
        "betas": [0.9, 0.99],
        "clip": 1.0,
        "ema": 0.9999,
        "flip": False,
    },
    "sampling": {"solver": "unipc-2", "steps": 20, "grid": "trailing"},
}
NEWER: dict[str, dict[str, Any]] = {
    "network": {"stem": 0, "norm": "group", "upsample": "conv", "skips": "all"},
    "training": {"optimizer": "adamw"},
}
"""What these versions did where later ones have an option; only passed on if this one has it."""


def flags(size: tuple[int, int], labelled: bool, rung: int) -> list[str]:
    """The flags of ``ddpm train`` for one row of the ladder, for images of (H, W)."""
    _, width, patch, blocks, batch, rate = LADDER[rung]
    longest, shortest = max(size), min(size)
    while longest / patch > FINEST:
        patch *= 2
    while patch > 1 and longest / patch < FINEST / 2:
        patch //= 2
    levels = 1
    while levels < 4 and shortest >= patch * 2**levels * COARSEST and not any(n % (patch * 2**levels) for n in size):
        levels += 1
    factors = [patch * 2**i for i in range(levels)]
    shape = {
        "width": width,
        "multipliers": [1, 2, 2, 2][:levels],
        "blocks": blocks,
        "attention": factors[1:][-2:] or factors,
        "patch": patch,
    }
    scale = (1.15 if longest <= 16 else 1.5) if labelled else 1.0
    guidance = {"scale": scale, "away_from": None, "interval": None, "rescale": None, "parallel": None, "norm": None}
    settings = {part: dict(values) for part, values in FIXED.items()}
    settings["network"] |= shape | _known("network", UNetSettings)
    settings["training"] |= {"batch": batch, "learning_rate": rate} | _known("training", TrainSettings)
    settings["sampling"] |= {"guidance": guidance}
    pairs = [f"{part}.{key}={json.dumps(value)}" for part, values in settings.items() for key, value in values.items()]
    return ["--no-tune-guidance", *(word for pair in pairs for word in ("--set", pair))]


def _known(part: str, group: type) -> dict[str, Any]:
    return {key: value for key, value in NEWER[part].items() if key in hints(group)}


def affordable(data: Path, size: tuple[int, int], labelled: bool, seconds: float) -> int:
    """The row for this time: the last before the first whose images do not fit in, by measured speed."""
    chosen = 0
    for rung, (needs, *_) in enumerate(LADDER):
        began = time.monotonic()
        speed = _speed(data, flags(size, labelled, rung))
        # the time until training starts is part of a budget
        images = speed * ((1 - SPARE) * seconds - (time.monotonic() - began))
        if images < needs:
            break
        chosen = rung
    return chosen


def _speed(data: Path, flags: list[str]) -> float:
    """Images per second, measured by ``ddpm train --dry-run``."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", str(data), "--out", f"{folder}/run", "--images", "100000", "--dry-run", *flags]
        done = subprocess.run([sys.executable, "-m", "ddpm", *command], capture_output=True, text=True)
    found = re.search(r"measured +(\d+) images/s", done.stdout)
    if found is None:
        raise SystemExit(f"`ddpm {' '.join(command)}` measured no speed:\n{done.stdout}{done.stderr}")
    return float(found[1])
