"""Tokens of prompts, each with the weight that the prompt gives to its text."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ddpm.text.weighting import parse


class Tokens(NamedTuple):
    """The tokens of a prompt that are read, special ones included.

    Attributes:
        ids: (n,) int64.
        weights: (n,) float32; 1 for special tokens.
        read, unread: the text before the cut of a prompt that is too long, and the rest; else all of it, and nothing.
    """

    ids: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    read: str
    unread: str


class PromptTokenizer:
    """A tokenizer of transformers for prompts with weights, (word:1.3).

    Args:
        tokenizer: of transformers.
        length: the most tokens of a prompt; those after them are cut off, but not the special token at the end.
        padded: whether every prompt has this many, with padding tokens of weight 1 at its end.
    """

    def __init__(self, tokenizer: Any, length: int, *, padded: bool = False) -> None:
        self.tokenizer, self.length, self.padded = tokenizer, length, padded

    def __call__(self, prompts: Sequence[str]) -> list[Tokens]:
        """The tokens of each prompt; none for an empty one."""
        # tokenizers reject halves of surrogate pairs, as from an undecodable command line
        valid = [prompt.strip().encode(errors="replace").decode() for prompt in prompts]
        # a part of weight 0 is left out, so that the others read as without it
        pieces = [[(text, weight) for text, weight in parse(prompt) if weight] for prompt in valid]
        texts = ["".join(text for text, _ in each) for each in pieces]
        full = [i for i, text in enumerate(texts) if text.strip()]
        if self.tokenizer.is_fast:
            found = self._located([texts[i] for i in full], [pieces[i] for i in full]) if full else []
        else:
            found = [self._joined(pieces[i]) for i in full]
        none = Tokens(np.zeros(0, np.int64), np.zeros(0, np.float32), "", "")
        rows = dict(zip(full, map(self._filled, found), strict=True))
        return [rows.get(i, none) for i in range(len(prompts))]

    def empty(self) -> Tokens:
        """The tokens of an empty text: special ones, and padding if every prompt has it."""
        ids = np.array(self.tokenizer("")["input_ids"], np.int64)
        return self._filled(Tokens(ids, np.ones(len(ids), np.float32), "", ""))

    def _filled(self, tokens: Tokens) -> Tokens:
        """Tokens followed by padding, if every prompt has the same number."""
        more = self.length - len(tokens.ids)
        if not self.padded or not more:
            return tokens
        ids = np.pad(tokens.ids, (0, more), constant_values=self.tokenizer.pad_token_id)
        return tokens._replace(ids=ids, weights=np.pad(tokens.weights, (0, more), constant_values=1))

    def _located(self, texts: list[str], pieces: Sequence[Sequence[tuple[str, float]]]) -> list[Tokens]:
        """Tokens of whole texts; the weight of each is the mean of its characters', spaces aside."""
        out = self.tokenizer(
            texts,
            truncation=True,
            max_length=self.length,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        found = []
        for i, text in enumerate(texts):
            spans, special = np.array(out["offset_mapping"][i]), np.array(out["special_tokens_mask"][i], bool)
            dark = np.array([not letter.isspace() for letter in text], np.float64)
            each = np.repeat([weight for _, weight in pieces[i]], [len(piece) for piece, _ in pieces[i]])
            # sums over the characters before each, so that a difference is a sum over a token
            count, total = (np.concatenate([[0], np.cumsum(values)]) for values in (dark, dark * each))
            n, weight = (sums[spans[:, 1]] - sums[spans[:, 0]] for sums in (count, total))
            weights = np.divide(weight, n, out=np.ones(len(spans)), where=(n > 0) & ~special)
            end = int(spans[:, 1].max())
            rest = text[end:] if len(spans) == self.length else ""
            found.append(_tokens(out["input_ids"][i], weights, text[: len(text) - len(rest)], rest))
        return found

    def _joined(self, pieces: Sequence[tuple[str, float]]) -> Tokens:
        """Tokens of one piece after the other, for a tokenizer that does not report where in the text each one is."""
        each = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text, _ in pieces]
        ids = list(chain.from_iterable(each))
        weights = np.repeat([weight for _, weight in pieces], [len(piece) for piece in each])
        most = self.length - self.tokenizer.num_special_tokens_to_add()
        whole = self.tokenizer.build_inputs_with_special_tokens(ids[:most])
        special = np.array(self.tokenizer.get_special_tokens_mask(ids[:most]), bool)
        out = np.ones(len(whole))
        out[~special] = weights[:most]
        read, unread = (self.tokenizer.decode(part) if part else "" for part in (ids[:most], ids[most:]))
        return _tokens(whole, out, read, unread)


def _tokens(ids: Sequence[int], weights: npt.NDArray[np.float64], read: str, unread: str) -> Tokens:
    # sums of characters' weights are inexact: 1.3 should not become 1.29999
    return Tokens(np.array(ids, np.int64), weights.round(6).astype(np.float32), read.strip(), unread.strip())
