"""The encoder of a run's captions."""

from typing import Annotated, Literal

from pydantic import Field

from ddpm.system.limits import MOST_BLOCKS, MOST_CHANNELS
from ddpm.system.record import Strict, at_most, bounds
from ddpm.system.tree import Short

MOST_TOKENS = 65_536
"""The most tokens of a prompt."""


class WordsConfig(Strict):
    """A vocabulary of the run's own captions, whose embeddings are trained with the model.

    Attributes:
        vocabulary: The whole words, most frequent first, separated by spaces.
        characters: The characters that all other words are spelled in.
        length: L, the maximum number of tokens of a prompt.
        layers: The layers of the transformer of the tokens.
    """

    kind: Literal["words"] = "words"
    vocabulary: str = ""
    characters: str = ""
    length: Annotated[int, bounds(1), at_most(MOST_TOKENS)]
    layers: Annotated[int, bounds(0), at_most(MOST_BLOCKS)] = 2

    @property
    def token_width(self) -> int | None:
        """E of tokens that the network takes as they are, without a vector; None if both have the network's width."""
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """The whole words, most frequent first."""
        return tuple(self.vocabulary.split())

    @property
    def summary(self) -> str:
        """A short description: "1,203 words, 16 tokens"."""
        return f"{len(self.words):,} words, {self.length} tokens"


class PretrainedConfig(Strict):
    """A frozen text encoder.

    Attributes:
        source: Its folder, or the name of one that a package provides.
        weights: The hash of its weights.
        width: E, the number of its features of each token.
        length: L, the maximum number of tokens of a prompt.
    """

    kind: Literal["pretrained"] = "pretrained"
    source: str
    weights: str
    width: Annotated[int, bounds(1), at_most(MOST_CHANNELS)]
    length: Annotated[int, bounds(1), at_most(MOST_TOKENS)]

    @property
    def token_width(self) -> int | None:
        return None

    @property
    def summary(self) -> str:
        """A short description: "features of minilm, 16 tokens"."""
        return f"features of {self.source}, {self.length} tokens"


class CLIPTokensConfig(Strict):
    """A frozen CLIP text encoder, whose tokens the network attends to as they are, padding included.

    The encoder's files are in the run folder.

    Attributes:
        weights: The hash of its files.
        width: E, the number of its features of each token.
        length: L, the number of tokens of every prompt.
    """

    kind: Literal["clip-tokens"] = "clip-tokens"
    weights: str
    width: Annotated[int, bounds(1), at_most(MOST_CHANNELS)]
    length: Annotated[int, bounds(1), at_most(MOST_TOKENS)] = 77

    @property
    def token_width(self) -> int | None:
        return self.width

    @property
    def summary(self) -> str:
        """A short description: "77 tokens of CLIP"."""
        return f"{self.length} tokens of CLIP"


TextConfig = Annotated[WordsConfig | PretrainedConfig | CLIPTokensConfig, Field(discriminator="kind"), Short("kind")]
