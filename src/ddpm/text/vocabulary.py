"""Words and the characters of rare ones, as tokens."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from string import ascii_lowercase, digits
from typing import Self

NULL, UNKNOWN, SPELLED = range(3)
"""Tokens other than words and known characters: no caption, a character never seen, the start of a spelled word."""
RESERVED = 3

MOST_WORDS = 4096
LEAST_CAPTIONS = 2
"""A word of fewer captions is spelled, so that the characters are trained, too."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Letters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters."""
_ASCII_WORD = re.compile(r"\w+|[^\w\s]")
_IGNORED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\ud800-\udfff]")
"""Signs without a look of their own: soft hyphens, joiners, variation selectors, and halves of surrogate pairs."""


def words_of(text: str) -> list[str]:
    r"""The words of a text: runs of letters, digits and their marks after NFKC and case folding, and each other sign.

    In scripts without spaces, such as Chinese, each character is a word; else whole phrases would be words, and new
    ones unknown.
    """
    if text.isascii():  # takes a third of the time
        return _ASCII_WORD.findall(text.casefold())
    composed = unicodedata.normalize("NFKC", _IGNORED.sub("", text))
    return _word().findall(unicodedata.normalize("NFKC", composed.casefold()))


@cache
def _word() -> re.Pattern[str]:
    r"""A word of any script. Vowels of Devanagari and points of Arabic are marks, which ``\w`` does not match."""
    marks = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.category(c).startswith("M"))
    letter = rf"[^\W{_UNSPACED}]"
    return re.compile(rf"[{_UNSPACED}]|{letter}(?:{letter}|[{marks}])*|[^\w\s]")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of words: those that are frequent as a whole, the others spelled.

    A spelled word is the token ``SPELLED``, followed by one token for each character; so "ab" differs from "a b". The
    tokens are numbered: those reserved, the characters, the words.

    Attributes:
        words: the whole words, most frequent first.
        characters: the characters of all others.
    """

    words: tuple[str, ...]
    characters: str

    @classmethod
    def of(cls, captions: Mapping[str, int]) -> Self:
        """The vocabulary of captions and how often each occurs, whatever their order: at most 4,096 whole words."""
        counts: Counter[str] = Counter()
        for caption, times in captions.items():
            for word in set(words_of(caption)):
                counts[word] += times
        frequent = sorted((-times, word) for word, times in counts.items() if times >= LEAST_CAPTIONS)
        characters = set(ascii_lowercase + digits + "".join(counts))
        return cls(tuple(word for _, word in frequent[:MOST_WORDS]), "".join(sorted(characters)))

    def __contains__(self, word: str) -> bool:
        """Whether a word has a token of its own."""
        return word in self._words

    @property
    def size(self) -> int:
        """The number of tokens."""
        return RESERVED + len(self.characters) + len(self.words)

    def tokens(self, word: str) -> tuple[int, ...]:
        """The tokens of a word of :func:`words_of`."""
        whole = self._words.get(word)
        if whole is not None:
            return (whole,)
        return (SPELLED, *(self._characters.get(character, UNKNOWN) for character in word))

    def longest(self, captions: Iterable[str], most: int) -> int:
        """The number of tokens of the longest caption; ``most`` if it has more."""
        longest, whole = 0, self._words
        for caption in captions:
            words = words_of(caption)
            # one token each, and one for each character of a spelled word
            longest = max(longest, len(words) + sum(len(word) for word in words if word not in whole))
            if longest >= most:
                return most
        return longest

    @cached_property
    def _words(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, RESERVED + len(self.characters))}

    @cached_property
    def _characters(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, RESERVED)}
