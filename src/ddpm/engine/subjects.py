"""The subjects of images: their classes and prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ddpm.system.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Subjects:
    """The label or prompt of each of n images.

    Attributes:
        labels: the class number of each; None without labels.
        prompts: the prompt of each, "" for none in particular; None without prompts.
    """

    labels: tuple[int, ...] | None = None
    prompts: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        """Whether there are labels or prompts."""
        return bool(self.labels or self.prompts)

    def rows(self, index: Sequence[int]) -> "Subjects":
        """The subjects of some images, which may repeat."""
        labels = None if self.labels is None else tuple(self.labels[i] for i in index)
        return Subjects(labels, None if self.prompts is None else tuple(self.prompts[i] for i in index))


NOTHING = Subjects()
"""No labels and no prompts."""


def in_turn(what: str, given: Sequence[T] | None, n: int) -> list[T] | None:
    """Repeat labels or prompts for n images; None if there are none.

    Raises:
        InputError: there are more of them than images.
    """
    if given and len(given) > n > 0:
        raise InputError("conflict", f"--{what} is given {len(given)} times for -n {n}; use at least -n {len(given)}")
    return [given[i % len(given)] for i in range(n)] if given else None
