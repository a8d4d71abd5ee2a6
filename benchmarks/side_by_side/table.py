"""What was found, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Table:
    """A title, columns, rows of words, and the numbers behind them.

    Attributes:
        data: as JSON.
    """

    title: str
    columns: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Markdown that reads well as it is."""
        lines = [tuple(self.columns), *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.columns))]
        text = ["| " + " | ".join(_cells(line, widths)) + " |" for line in lines]
        rule = "|" + "|".join("-" * (w + 1) + ("-" if k == 0 else ":") for k, w in enumerate(widths)) + "|"
        return "\n".join([f"\n{self.title}\n", text[0], rule, *text[1:]])


def _cells(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [word.ljust(w) if k == 0 else word.rjust(w) for k, (word, w) in enumerate(zip(line, widths, strict=True))]
