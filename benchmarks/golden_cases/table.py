"""A case and its record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from golden_cases.lab import Lab


@dataclass(frozen=True)
class Case:
    """One independent part of the record.

    Attributes:
        name: Without a colon.
        find: Runs it and returns its hashes by name; the name "" stands for the only one.
    """

    name: str
    find: Callable[[Lab], Mapping[str, str]]

    def recorded(self, lab: Lab) -> dict[str, str]:
        """Its hashes as ``name:part``, or ``error: …`` where it cannot be run."""
        try:
            found = self.find(lab)
        except Exception as e:  # whatever it is, the other cases go on
            first = (str(e).splitlines() or [""])[0]
            return {self.name: f"error: {type(e).__name__}: {first}".replace(str(lab.home), ".")}
        return {f"{self.name}:{part}" if part else self.name: value for part, value in found.items()}


def case_of(entry: str) -> str:
    """The case that an entry of a record belongs to."""
    return entry.partition(":")[0]
