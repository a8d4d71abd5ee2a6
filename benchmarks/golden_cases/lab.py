"""A temporary folder with tiny images and tiny runs, driven through the command line."""

import contextlib
import io
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from PIL import Image

from ddpm.cli import main

CLASSES = ("circle", "square", "star")
PICTURES = 48
SETTINGS = {
    "network.multipliers": "[1,2]",
    "network.attention": "[2]",
    "training.warmup": "64",
    "training.ema": "0.95",
    "training.previews": "1",
    "training.checkpoint_every": "256",
    "training.log_every": "128",
}
"""Keys of the config that every run sets: the smallest network with all kinds of layers, and a log of four lines."""
TRAIN = {
    "--images": "512",
    "--batch": "8",
    "--micro-batch": "8",
    "--width": "8",
    "--lr": "0.003",
    "--precision": "fp32",
}
"""64 optimiser steps."""


class Failed(Exception):
    """A command exited with a code other than 0."""


@dataclass
class Lab:
    """Where the cases work.

    Attributes:
        home: The temporary folder, which is also the working directory.
    """

    home: Path
    _made: dict[str, Any] = field(default_factory=dict)

    def cli(self, *argv: object, code: int = 0) -> None:
        """Run ``ddpm …`` in this process and silence it.

        Raises:
            Failed: The exit code is another one.
        """
        AcceleratorState._reset_state(True)  # accelerate keeps one for the whole process
        torch.manual_seed(0)
        said = io.StringIO()
        got: object = 0
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            try:
                main([str(word) for word in argv])
            except SystemExit as e:
                got = e.code or 0
            finally:
                AcceleratorState._reset_state(True)
        if got != code:
            lines = [line.strip("│ ") for line in said.getvalue().splitlines() if line.strip("╭╮╰╯─│ ")]
            raise Failed(lines[-1] if lines else f"{argv[0]} exited with {got}, not {code}")

    def out(self, name: str) -> Path:
        """A fresh folder."""
        folder = self.home / "out" / name.replace("/", "_")
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def photos(self, mode: str = "RGB", side: int = 8, *, classes: bool = True) -> Path:
        """A folder of noisy shapes, made once; with a subfolder for each class, or without."""
        name = f"{mode.lower()}{side}{'' if classes else '-plain'}"
        return self._once(name, partial(_draw_photos, Path(name), mode, side, classes))

    def photo(self, size: tuple[int, int] = (8, 8), mode: str = "RGB", index: int = 0) -> Path:
        """One picture to edit."""
        path = Path(f"photo-{mode}-{size[0]}x{size[1]}-{index}.png")
        return self._once(path.stem, partial(_draw, path, size, mode, index))

    def mask(self, size: tuple[int, int] = (8, 8)) -> Path:
        """White in the lower right, black elsewhere."""
        path = Path(f"mask-{size[0]}x{size[1]}.png")

        def make() -> Path:
            white = np.zeros(size, np.uint8)
            white[size[0] // 3 :, size[1] // 2 :] = 255
            Image.fromarray(white).save(path)
            return path

        return self._once(path.stem, make)

    def run(self, *flags: str, photos: Path | None = None, **settings: str) -> Path:
        """A finished run with these flags of ``ddpm train``, made once and only read; dots of keys are ``__``."""
        data = photos or self.photos()
        name = "run-" + "".join(c if c.isalnum() else "_" for c in f"{data}{flags}{settings}")

        def make() -> Path:
            self.cli("train", data, "--out", name, *_trained(flags, settings))
            return Path(name)

        return self._once(name, make)

    def own(self, run: Path, name: str) -> Path:
        """A copy of a run that a command may write into."""
        return shutil.copytree(run, self.out(name), symlinks=True)

    def classified(self) -> Path:
        """A labelled run together with its classifier of noised images."""

        def make() -> Path:
            run = self.own(self.run(), "classified")
            self.cli(
                "train-classifier",
                run,
                "--images",
                512,
                "--batch",
                8,
                "--width",
                8,
                *("--lr", 0.01, "--precision", "fp32"),
            )
            return run

        return self._once("classified", make)

    def interrupted(self) -> Path:
        """A run that SIGINT stopped once its log had begun, and that the same command then finished."""
        out = self.out("interrupted")
        flags = ("train", self.photos(), "--out", out, *_trained((), {}))
        done = threading.Event()

        def stop() -> None:
            log = out / "log.jsonl"
            while not done.wait(0.001):
                if log.exists() and '"train"' in log.read_text(encoding="utf-8"):
                    os.kill(os.getpid(), signal.SIGINT)
                    return

        thread = threading.Thread(target=stop)
        thread.start()
        try:
            self.cli(*flags, code=75)
        finally:
            done.set()
            thread.join()
        self.cli(*flags)
        return out

    def _once(self, name: str, make: Callable[[], Path]) -> Path:
        """What was made under this name, or the error that making it ended in."""
        if name not in self._made:
            try:
                self._made[name] = make()
            except Exception as e:
                self._made[name] = e
        if isinstance(self._made[name], Exception):
            raise self._made[name]
        return self._made[name]


def _trained(flags: tuple[str, ...], settings: dict[str, str]) -> list[str]:
    """All flags of ``ddpm train``, those given in place of the usual ones."""
    usual = [word for flag, value in TRAIN.items() if flag not in flags for word in (flag, value)]
    keys = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    return [*usual, *flags, *(word for key, value in keys.items() for word in ("--set", f"{key}={value}"))]


def _draw_photos(root: Path, mode: str, side: int, classes: bool) -> Path:
    for i in range(PICTURES):
        where = root / CLASSES[i % len(CLASSES)] if classes else root
        where.mkdir(parents=True, exist_ok=True)
        _draw(where / f"{i:02d}.png", (side, side), mode, i)
    return root


def _draw(path: Path, size: tuple[int, int], mode: str, index: int) -> Path:
    """A shape of class ``index % 3`` in a colour of its own on grey, with noise."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[: size[0], : size[1]] / (np.array(size)[:, None, None] - 1) * 2 - 1
    inside = (x**2 + y**2 < 0.5, np.maximum(abs(x), abs(y)) < 0.6, abs(x * y) < 0.1)[index % len(CLASSES)]
    tint = rng.uniform(0, 255, len(mode))
    values = np.where(inside[..., None], tint, 100) + rng.normal(0, 12, (*size, len(mode)))
    pixels = values.clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if mode == "L" else pixels).save(path)
    return path
