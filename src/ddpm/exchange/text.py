"""A frozen CLIP text encoder, as a run keeps it in its folder."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ddpm.config.text import CLIPTokensConfig
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, open_regular
from ddpm.system.tensors import load_tensors
from ddpm.text.folder import CLASSES, TOKENIZER, WEIGHTS, open_encoder
from ddpm.text.pretrained import load_encoder

Files = Mapping[str, Path | bytes]
"""The contents of files, or where they are, by name."""
KIND = "clip_text_model"
UNUSED = {"embeddings.position_ids"}
"""Tensors that numbered the positions in older files."""


@dataclass(frozen=True)
class StoredText:
    """A text encoder with its tokenizer.

    Attributes:
        config: its settings in a run.
        null_tokens: (L, E), the features of no words.
        files: the files of the run folder, by their paths in it.
    """

    config: CLIPTokensConfig
    null_tokens: torch.Tensor
    files: tuple[tuple[str, Path | bytes], ...]


def stored_text(files: Files, source: str) -> StoredText:
    """The text encoder in these files: its config.json and model.safetensors, and the files of the tokenizer.

    Args:
        source: its name in errors.

    Raises:
        InputError: it is missing, damaged, no text encoder of CLIP, or its tokenizer does not fit.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, contents in files.items():
            _copy(contents, folder / file)
        try:
            config, null_tokens = _read(folder)
        except InputError as error:
            raise InputError(error.code, str(error).replace(name, source)) from error
    text = RunFolder(Path()).text
    return StoredText(config, null_tokens, tuple((str(text / file), contents) for file, contents in files.items()))


def _copy(contents: Path | bytes, file: Path) -> None:
    with disk_errors(file):
        if isinstance(contents, bytes):
            file.write_bytes(contents)
            return
        try:
            source = open_regular(contents)
        except OSError as error:
            raise InputError(
                "unreadable", f"cannot read {contents} ({error.strerror}); use a complete folder"
            ) from error
        with source, file.open("wb") as target:
            shutil.copyfileobj(source, target)


def tokenizer_files(folder: Path) -> dict[str, Path]:
    """The files of a tokenizer in a folder.

    Raises:
        InputError: there are none.
    """
    found = {name: folder / name for name in TOKENIZER if (folder / name).is_file()}
    if not found:
        raise InputError("missing", f"{folder} has no tokenizer; use a folder with {', '.join(TOKENIZER[:3])} …")
    return found


def _read(folder: Path) -> tuple[CLIPTokensConfig, torch.Tensor]:
    """The settings and the null tokens of an encoder in a complete folder."""
    found = open_encoder(str(folder))
    if found.network != CLASSES[KIND] or getattr(found.config, "use_attention_mask", False):
        raise InputError(
            "incompatible", f"{folder} is not a CLIP text encoder that reads padding, as those of Stable Diffusion do"
        )
    encoder = load_encoder(str(folder), torch.device("cpu"), padded=True)
    if encoder.tokens.tokenizer.pad_token_id is None:
        raise InputError("incompatible", f"the tokenizer of {folder} has no padding token; add one to its settings")
    names = {name.removeprefix("text_model.") for name in load_tensors(folder / WEIGHTS)}
    known = {name.removeprefix("text_model.") for name in encoder.net.state_dict()} | UNUSED
    if left := sorted(names - known):
        raise InputError("incompatible", f"{folder} has weights that its network does not use, such as {left[0]}")
    settings = CLIPTokensConfig(weights=found.hash, width=encoder.width, length=encoder.length)
    return settings, torch.from_numpy(encoder.empty().copy())
