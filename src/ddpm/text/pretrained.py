"""Frozen pretrained text encoders as encoders of prompts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ddpm.system.errors import InputError
from ddpm.system.files import with_home
from ddpm.system.names import MINILM
from ddpm.system.pretrained import import_transformers, loading, read_network
from ddpm.text.folder import ADVICE, EncoderFolder, open_encoder
from ddpm.text.tokens import PromptTokenizer, Tokens
from ddpm.text.weighting import escape

BATCH = 16
"""The number of prompts encoded at a time: always the same, as sums may round differently in smaller batches."""
PART = 4096
"""The number of prompts whose tokens are in memory at a time."""
SHORTEST = 16
"""The least number of tokens that prompts are padded to."""
LENGTHS = (32, 128)
"""The least and the largest length that is chosen for a set of captions."""
UNUSED = ("pooler.",)
"""Weights that no token's features depend on, which masked language models are therefore stored without."""
UNLIMITED = 10**9
"""Tokenizers without a limit have one of 1e30."""
SHOWN = 40
"""The characters of a prompt that are quoted on each side of a cut."""


class PretrainedEncoder:
    """A text encoder of transformers, with fixed weights, as a PromptEncoder.

    The features of a token are the last hidden state, in float32. They depend on the prompt alone: prompts are padded
    to the next power of two, up to the length, and encoded in batches of a fixed size, filled with copies.

    Args:
        net: of transformers, on the device.
        tokenizer: of transformers.
        width: E, the channels of a token's features.
        length: L, the number of rows of a prompt.
        most: the most tokens that the encoder reads, if fewer.
        padded: whether padding is read as a part of every prompt, which then has L tokens.
    """

    def __init__(
        self, net: Any, tokenizer: Any, width: int, length: int, most: int | None = None, *, padded: bool = False
    ) -> None:
        self.net, self.width, self.length = net, width, length
        self.tokens = PromptTokenizer(tokenizer, min(length, most or length), padded=padded)
        self._padding = tokenizer.pad_token_id or 0

    def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The features and the weight of each token, (B, L, E + 1); zeros after the last token of a prompt."""
        distinct = list(dict.fromkeys(prompts))
        tokens = self.tokens(distinct)
        found = np.zeros((len(distinct), self.length, self.width + 1), np.float32)
        padded = np.array([self._padded(len(own.ids)) for own in tokens], np.int64)
        for width in sorted({*padded.tolist()} - {0}):
            rows = np.flatnonzero(padded == width)
            for first in range(0, len(rows), BATCH):
                batch = rows[first : first + BATCH]
                for i, features in zip(batch, self._features([tokens[i] for i in batch], width), strict=False):
                    n = len(tokens[i].ids)
                    found[i, :n, :-1], found[i, :n, -1] = features[:n], tokens[i].weights
        number = {prompt: i for i, prompt in enumerate(distinct)}
        return found[[number[prompt] for prompt in prompts]]

    def empty(self) -> npt.NDArray[np.float32]:
        """The features of the tokens of an empty text, (n, E)."""
        tokens = self.tokens.empty()
        n = len(tokens.ids)
        return self._features([tokens], self._padded(n))[0, :n]

    def notes(self, prompt: str) -> list[str]:
        """Where a prompt that is too long is cut."""
        (tokens,) = self.tokens([prompt])
        if not tokens.unread:
            return []
        end, rest = tokens.read[-SHOWN:].strip(), tokens.unread[:SHOWN].strip()
        return [f"the prompt is cut after {end!r}: the encoder reads {self.tokens.length} tokens, but not {rest!r}"]

    def _padded(self, n: int) -> int:
        """The number of tokens that n are padded to; 0 for none."""
        return min(self.tokens.length, max(SHORTEST, 1 << (n - 1).bit_length())) if n else 0

    @torch.no_grad()
    def _features(self, tokens: list[Tokens], width: int) -> npt.NDArray[np.float32]:
        """The last hidden state of some prompts, (BATCH, width, E), followed by copies of that of the last one."""
        ids = np.full((BATCH, width), self._padding, np.int64)
        mask = np.zeros((BATCH, width), np.int64)
        for row in range(BATCH):
            own = tokens[min(row, len(tokens) - 1)].ids
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
        device = self.net.device
        with torch.autocast(device.type, enabled=False):
            out = self.net(input_ids=torch.from_numpy(ids).to(device), attention_mask=torch.from_numpy(mask).to(device))
        features: npt.NDArray[np.float32] = out.last_hidden_state.float().cpu().numpy()
        return features


def prompts_of(captions: Iterable[str]) -> list[str]:
    """The distinct prompts that read as these captions, sorted; each line of a string is a caption."""
    lines = {line.strip() for caption in captions for line in caption.split("\n")}
    return sorted(escape(line) for line in lines if line)


def load_encoder(
    source: str,
    device: torch.device,
    length: int | None = None,
    expected: str | None = None,
    *,
    padded: bool = False,
) -> PretrainedEncoder:
    """Load a text encoder from a folder, or the one named "minilm". Weights are read from safetensors only.

    Args:
        length: L; by default the most tokens that it reads.
        expected: the hash that the folder must have; None for any.
        padded: whether padding is read as a part of every prompt.

    Raises:
        InputError: transformers is not installed; or the folder is missing, damaged, no text encoder, or another one
            than expected.
    """
    if expected is not None and source != MINILM and not with_home(source).exists():
        raise InputError(
            "missing",
            f"text encoder {source}, which the run was trained with, was not found; restore it, or copy it to the "
            "folder text in the run folder",
        )
    folder = open_encoder(source)
    if expected is not None and folder.hash != expected:
        raise InputError(
            "incompatible",
            f"{source} has changed: its hash is {folder.hash}, but the run was trained with {expected}; use the "
            "files that it was trained with",
        )
    tokenizer, most = _tokenizer(folder)
    with loading(source, ADVICE):
        kind = getattr(import_transformers("text encoders", "features"), folder.network)
        options = {"config": folder.config, "local_files_only": True}
        net = read_network(kind, str(folder.path), UNUSED, **options).to(device)
    tokens, known = max(tokenizer.get_vocab().values()) + 1, net.get_input_embeddings().num_embeddings
    if tokens > known:
        raise InputError(
            "incompatible",
            f"the tokenizer of {source} has {tokens} tokens, but its network {known}; use the network's own",
        )
    return PretrainedEncoder(net, tokenizer, folder.width, length or most or LENGTHS[1], most, padded=padded)


def fitting_length(folder: EncoderFolder, captions: Iterable[str]) -> tuple[int, int]:
    """L for the captions of a data set, and the number of captions that are longer, and therefore cut.

    L is a multiple of 8 that is enough for all, within :data:`LENGTHS`, and never more than the encoder reads. Only the
    tokenizer is loaded.

    Raises:
        InputError: the tokenizer is damaged.
    """
    tokenizer, most = _tokenizer(folder)
    low, high = LENGTHS
    high = min(high, most or high)
    longest = cut = 0
    for tokens in in_parts(PromptTokenizer(tokenizer, high), prompts_of(captions)):
        longest = max(longest, *(len(own.ids) for own in tokens))
        cut += sum(bool(own.unread) for own in tokens)
    return min(high, max(low, -(-longest // 8) * 8)), cut


def in_parts(tokenizer: PromptTokenizer, prompts: Sequence[str]) -> Iterator[list[Tokens]]:
    """The tokens of prompts, some prompts at a time, as those of all may not fit in memory."""
    return (tokenizer(prompts[first : first + PART]) for first in range(0, len(prompts), PART))


def _tokenizer(folder: EncoderFolder) -> tuple[Any, int | None]:
    """The tokenizer, and the most tokens that it or the encoder reads; None for no limit."""
    transformers = import_transformers("text encoders", "features")
    with loading(folder.source, ADVICE):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder.path), local_files_only=True, trust_remote_code=False
        )
        limits = [n for n in (tokenizer.model_max_length, folder.positions) if n is not None and n < UNLIMITED]
    return tokenizer, min(limits, default=None)
