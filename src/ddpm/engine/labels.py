"""Class labels and prompts of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ddpm.system.arguments import plain
from ddpm.system.errors import InputError
from ddpm.system.filenames import nfc, readable
from ddpm.system.names import listed, suggest
from ddpm.system.units import say_count

Label = str | int
"""A class by name or number."""


@dataclass(frozen=True)
class Labels:
    """The classes that a run can sample.

    Attributes:
        classes: their names; empty if none are known.
        source: the run, for messages.
    """

    classes: tuple[str, ...]
    source: Path

    def numbers(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """Return the label numbers of n images; None without labels.

        Raises:
            InputError: an unknown class, or the number of labels differs from n.
        """
        if label is None:
            return None
        label = plain(label)
        given = label if isinstance(label, list | tuple | range) else [label] * n
        return [self.number(one) for one in _one_each("label", given, n)]

    def number(self, label: Label) -> int:
        """Return the number of a class, given by name, or by number if no name is a number.

        Raises:
            InputError: the class is unknown.
        """
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise InputError("invalid", f"label {label!r} is not a class; use a name or a number, or a list of them")
        if not self.classes:
            raise InputError("incompatible", f"label {label!r} cannot be used; {self.advice}")
        known = [nfc(name) for name in self.classes]
        if (name := nfc(readable(str(label)))) in known:
            return known.index(name)
        numbered = [name for name in self.classes if name.isdecimal()]
        if (isinstance(label, int) or label.isdecimal()) and not numbered:
            if 0 <= int(label) < len(self.classes):
                return int(label)
            raise InputError("unknown", f"label {label} is out of range; use 0 to {len(self.classes) - 1}")
        raise InputError("unknown", f"unknown label {str(label)!r}{suggest(str(label), list(self.classes))}")

    @property
    def advice(self) -> str:
        """Advice on the labels that can be given."""
        if self.classes:
            return f"use --label with one of {listed(self.classes)}"
        return (
            f"{self.source} was trained without labels; "
            "if its images have classes, train a classifier with `ddpm train-classifier` and use --classifier"
        )


@dataclass(frozen=True)
class Prompts:
    """The prompts that a run can sample.

    Attributes:
        known: whether it was trained on captions.
        source: the run, for messages.
    """

    known: bool
    source: Path

    def each(self, prompt: str | Sequence[str] | None, n: int) -> tuple[str, ...] | None:
        """Return the prompts of n images; None without prompts.

        Raises:
            InputError: the run has no text, or the number of prompts differs from n.
        """
        if prompt is None:
            return None
        prompt = plain(prompt)
        given: Sequence[Any] = prompt if isinstance(prompt, list | tuple) else [prompt] * n
        for one in given:
            self.check(one)
        return _one_each("prompt", given, n)

    def check(self, prompt: str) -> None:
        """Check that the run can use a prompt.

        Raises:
            InputError: it is not text, or the run was trained without captions.
        """
        if not isinstance(prompt, str):
            raise InputError("invalid", f"prompt {prompt!r} is not text; use a string, or a list of strings")
        if not self.known:
            raise InputError("incompatible", f"prompt {prompt!r} cannot be used; {self.advice}")

    @property
    def advice(self) -> str:
        """Advice on the prompts that can be given."""
        if self.known:
            return "use --prompt with a description"
        return f"{self.source} was trained without captions; train a run on images with captions to use --prompt"


Each = TypeVar("Each")


def _one_each(what: str, given: Sequence[Each], n: int) -> tuple[Each, ...]:
    """Return the values, one for each of n images.

    Raises:
        InputError: there are more or fewer.
    """
    if len(given) != n:
        counts = f"{say_count(len(given), what)} for {say_count(n, 'image')}"
        raise InputError("conflict", f"{counts}; use one {what} for all, or one per image")
    return tuple(given)
