"""The protocol of encoders of prompts, and captions as prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ddpm.text.weighting import escape


class PromptEncoder(Protocol):
    """An encoder that turns prompts into raw conditions of the kind "caption".

    The shape does not depend on the prompts, so a prompt is encoded in the same way alone and next to longer ones.
    """

    def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode prompts, in which ``(word:1.3)`` weights a part; see :func:`ddpm.text.weighting.parse`.

        Returns:
            (B, L, K). The last channel is the weight of each token: 0 for padding, 1 unless the prompt says otherwise.
            An empty prompt is all zeros, the null caption.

        Raises:
            InputError: if a weight is out of range.
        """
        ...

    def notes(self, prompt: str) -> list[str]:
        """Lines that a user should read: unknown words with the nearest known ones; where a long prompt is cut."""
        ...


@dataclass(frozen=True, slots=True)
class CaptionEncoder:
    """An encoder of captions as plain text: in "at night (3:45)", nothing is a weight.

    Attributes:
        encoder: the encoder of prompts.
    """

    encoder: PromptEncoder

    def __call__(self, captions: Sequence[str]) -> npt.NDArray[np.float32]:
        """Captions -> raw conditions (B, L, K)."""
        return self.encoder([escape(caption) for caption in captions])
