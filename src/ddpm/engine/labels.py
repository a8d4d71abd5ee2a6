"""What images can be asked to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddpm.system.errors import InputError
from ddpm.system.names import suggest
from ddpm.system.units import say_count

Label = str | int
"""A class by name or number."""


@dataclass(frozen=True)
class Labels:
    """The classes that images of a run can be asked for.

    Attributes:
        classes: by name; empty where none are known.
        source: the run, for what is said.
    """

    classes: tuple[str, ...]
    source: Path

    def numbers(self, label: Label | Sequence[Label] | None, n: int) -> list[int] | None:
        """The label numbers of n images; None without a wish.

        Raises:
            InputError: an unknown class, or not one for each image.
        """
        if label is None:
            return None
        given = [label] if isinstance(label, str | int) else list(label)
        if isinstance(label, str | int):
            given *= n
        if len(given) != n:
            counts = f"{say_count(len(given), 'label')} for {say_count(n, 'image')}"
            raise InputError("invalid", f"{counts}; give one for all, or one each")
        return [self.number(one) for one in given]

    def number(self, label: Label) -> int:
        """The number of a class.

        Raises:
            InputError: it is unknown.
        """
        if not self.classes:
            raise InputError("invalid", f"label {label!r} cannot be used: {self.advice}")
        if label in self.classes:
            return self.classes.index(str(label))
        if isinstance(label, int) or label.isdecimal():
            if 0 <= int(label) < len(self.classes):
                return int(label)
            raise InputError("invalid", f"label {label} is outside 0 … {len(self.classes) - 1}")
        raise InputError("unknown", f"unknown label {label!r}{suggest(label, list(self.classes))}")

    @property
    def advice(self) -> str:
        """What to do where there is no label."""
        if self.classes:
            return f"give a label (known: {', '.join(self.classes)})"
        return (
            f"{self.source} was trained without labels; "
            "where its images have classes, `ddpm train-classifier` and --classifier make up for it"
        )
