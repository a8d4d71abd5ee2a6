"""A model read from the files of another program, and the run folder that it becomes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as tensors_to_bytes

from ddpm.config.autoencoder import AutoencoderConfig
from ddpm.config.classifier import ClassifierConfig
from ddpm.config.run import RunConfig
from ddpm.records.card import card
from ddpm.records.codec import StoredCodec
from ddpm.records.latents import LatentsRecord
from ddpm.records.run_folder import RunFolder, Weights
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file

LABEL_TABLE = "conditioners.label.table.weight"
"""The embedding of the class labels of a run, whose last row is that of the null label."""
MODES: dict[int, Any] = {1: "L", 3: "RGB", 4: "RGBA"}
"""The mode of images by their channels."""
DROPOUT = 0.1
"""The usual proportion of labels or captions dropped in training (Peebles & Xie 2023, sec. 4), which no file states."""
PROMPT = "a red heart"
"""The example in the model card of a model with text."""


@dataclass(frozen=True)
class Imported:
    """A model of another program as one of ours.

    Attributes:
        config: its settings, as those of a run, a classifier or an autoencoder.
        weights: its weights by their names in the model, "net.…" and "conditioners.…".
        read: what was read, one line each: "UNet2DModel, 35,746,307 parameters".
        inferred: what no file states, one line each: "images are RGB, as the network has 3 channels".
        codec: the autoencoder of a run in latents.
        latents: the statistics of the latents, if the model itself is an autoencoder.
        files: further files of the run folder, by their paths in it: their contents, or where they are copied from.
    """

    config: RunConfig | ClassifierConfig | AutoencoderConfig
    weights: Weights
    read: tuple[str, ...]
    inferred: tuple[str, ...] = ()
    codec: StoredCodec | None = None
    latents: LatentsRecord | None = None
    files: tuple[tuple[str, Path | bytes], ...] = ()

    def write(self, out: Path, check: Callable[[RunFolder], None] | None = None) -> RunFolder:
        """Write the run folder under a temporary name, and rename it when it is complete and checked.

        Args:
            check: called with the folder under its temporary name; if it raises, nothing is left.

        Raises:
            InputError: the folder is not empty, or a file cannot be written.
        """
        with drafted_folder(out) as draft:
            self._write(RunFolder(draft), out)
            if check is not None:
                check(RunFolder(draft))
        return RunFolder(out)

    def _write(self, folder: RunFolder, out: Path) -> None:
        for name, source in self.files:
            write_file(folder.path / name, source if isinstance(source, bytes) else source.read_bytes())
        if self.codec is not None:
            self.codec.write(folder.codec)
        if self.latents is not None:
            self.latents.write(folder.latents_file)
        if isinstance(self.config, RunConfig):
            parameters = sum(w.numel() for name, w in self.weights.items() if name.startswith("net."))
            prompt = None if self.config.text is None else PROMPT
            write_file(folder.card, card(self.config, str(out), parameters, prompt).encode(errors="surrogateescape"))
        write_file(folder.weights_file, tensors_to_bytes({n: w.contiguous() for n, w in self.weights.items()}))
        self.config.write(folder.config_file)


@contextmanager
def drafted_folder(out: Path) -> Iterator[Path]:
    """A temporary folder to write, renamed when the block ends; if it fails, nothing is left.

    Raises:
        InputError: the folder is not empty, or cannot be written.
    """
    refuse_other_files(out)
    draft = out.absolute().with_name(f".{out.absolute().name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with disk_errors(out):
            draft.mkdir(parents=True)
        yield draft
        with disk_errors(out):
            if out.exists():
                out.rmdir()
            draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_other_files(out: Path) -> None:
    """Check that a folder to write is empty, or does not exist.

    Raises:
        InputError: it is not.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError("exists", f"{out} already exists; choose another --out, or remove it")
