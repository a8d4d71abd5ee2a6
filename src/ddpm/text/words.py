"""Prompts in the words of a run's own captions."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Self

import numpy as np
import numpy.typing as npt

from ddpm.system.names import nearest
from ddpm.text.vocabulary import Vocabulary, words_of
from ddpm.text.weighting import parse

SHORTEST, LONGEST, EACH = 8, 64, 8
"""The smallest and the largest L, and a divisor of it that suits hardware."""
CLOSE = 0.75
"""The least similarity of a misspelling: "hart" and "heart" have 0.89, "avocado" and "card" 0.73."""
LAST = 4
"""The number of words that show where a prompt is cut."""


@dataclass(frozen=True)
class WordEncoder:
    """A :class:`~ddpm.text.encoder.PromptEncoder` of tokens whose embeddings are trained with the model.

    Attributes:
        vocabulary: the whole words, most frequent first, separated by spaces.
        characters: the characters that all other words are spelled in.
        length: L, the maximum number of tokens of a prompt.
    """

    vocabulary: str
    characters: str
    length: int

    @classmethod
    def of(cls, captions: Iterable[str]) -> Self:
        """The encoder of some captions, one per line of a string; L fits the longest, but is at most 64."""
        lines = Counter(line for caption in captions for line in caption.split("\n"))
        known = Vocabulary.of(lines)
        longest = max(known.longest(lines, LONGEST), SHORTEST)
        return cls(" ".join(known.words), known.characters, -(-longest // EACH) * EACH)

    def cut(self, captions: Iterable[str]) -> int:
        """The number of distinct captions of :meth:`of` that have more than L tokens, and are therefore cut."""
        lines = {line for caption in captions for line in caption.split("\n")} if self.length == LONGEST else set[str]()
        return sum(self.known.longest([line], self.length + 1) > self.length for line in lines)

    @cached_property
    def known(self) -> Vocabulary:
        """The words and the characters as tokens."""
        return Vocabulary(tuple(self.vocabulary.split()), self.characters)

    @property
    def size(self) -> int:
        """The number of different tokens."""
        return self.known.size

    def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode prompts: (B, L, 2), the number of each token and its weight; a word of weight 0 is left out."""
        raw = np.zeros((len(prompts), self.length, 2), np.float32)
        for row, prompt in zip(raw, prompts, strict=True):
            tokens = _tokens(self, prompt)
            row[: len(tokens)] = tokens
        return raw

    def notes(self, prompt: str) -> list[str]:
        """See :class:`~ddpm.text.encoder.PromptEncoder`; a word of a single caption is as unknown as one of none."""
        words, known, lines = [word for word, _ in _words(prompt)], self.known, []
        if unknown := dict.fromkeys(word for word in words if word not in known):
            named = ", ".join(f"{word!r}{_nearest(self, word)}" for word in unknown)
            lines.append(f"rare or unknown {'word' if len(unknown) == 1 else 'words'}, read by characters: {named}")
        ends = [0, *accumulate(len(known.tokens(word)) for word in words)]
        if ends[-1] > self.length:
            whole = bisect_right(ends, self.length) - 1
            # the characters of the next word that are read, after the token that starts it
            part = words[whole][: max(self.length - ends[whole] - 1, 0)]
            last = " ".join([*words[:whole], *([f"{part}…"] if part else [])][-LAST:])
            lines.append(f"the prompt has {ends[-1]} tokens; the first {self.length} are read, up to {last!r}")
        return lines


def _words(prompt: str) -> list[tuple[str, float]]:
    """The words of a prompt and their weights, without those that weigh 0 in float32."""
    return [(word, weight) for part, weight in parse(prompt) if np.float32(weight) for word in words_of(part)]


@lru_cache(maxsize=4096)
def _nearest(encoder: WordEncoder, word: str) -> str:
    """The words most similar to an unknown one, as advice."""
    return nearest(word, list(encoder.known.words), CLOSE)


@lru_cache(maxsize=65_536)
def _tokens(encoder: WordEncoder, prompt: str) -> npt.NDArray[np.float32]:
    """The tokens of a prompt and their weights, (n, 2) with n ≤ L."""
    known, tokens, weights = encoder.known, list[int](), list[float]()
    for word, weight in _words(prompt):
        found = known.tokens(word)
        tokens += found
        weights += [weight] * len(found)
    return np.array([tokens[: encoder.length], weights[: encoder.length]], np.float32).T
