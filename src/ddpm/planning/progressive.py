"""The stages of progressive distillation, each a run of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddpm.planning.teaching import MOST
from ddpm.system.errors import InputError

FEWEST = 32
"""The fewest steps of the teacher in the first stage, by default."""
FOLDER = "stages"
"""The folder of all stages but the last, within the student's run folder."""


@dataclass(frozen=True)
class Halving:
    """One stage of progressive distillation, in which a student learns to take half its teacher's steps.

    Attributes:
        out: the run folder of its student.
        steps: the number of steps of its student.
        follows: the run folder of the stage before; None for the first, which follows the teacher itself.
        numbers: the numbers of steps of all stages, falling.
    """

    out: Path
    steps: int
    follows: Path | None
    numbers: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of the budget."""
        return 1 / len(self.numbers)

    @property
    def line(self) -> str:
        """All stages as a line for the terminal."""
        students = ", ".join(map(str, self.numbers))
        return f"stages    from {2 * self.numbers[0]} steps of the teacher to {students}"


def stages(out: Path, numbers: Sequence[int], total: int | None) -> list[Halving]:
    """The stages from the teacher's steps down to the student's.

    Args:
        out: the run folder of the student.
        numbers: its numbers of steps, of which there may be only one.
        total: the teacher's number of steps; None for the default.

    Raises:
        InputError: there are several numbers of steps, there are too many steps, or the teacher's number is not the
            student's doubled one or more times.
    """
    steps, *others = numbers
    if others:
        raise InputError("conflict", "--method progressive distils one number of steps; drop the others of --steps")
    if not 1 <= steps <= MOST:
        raise InputError("invalid", f"--steps must be between 1 and {MOST}, not {steps}")
    halved = tuple(_halved(steps, total))
    outs = [*(out / FOLDER / str(number) for number in halved[:-1]), out]
    return [Halving(*one, halved) for one in zip(outs, halved, [None, *outs], strict=False)]


def _halved(steps: int, total: int | None) -> Iterator[int]:
    """The students' numbers of steps, falling to ``steps``."""
    doubled = [steps]
    while doubled[-1] < (max(FEWEST, 2 * steps) if total is None else total):
        doubled.append(2 * doubled[-1])
    if len(doubled) == 1 or total not in (None, doubled[-1]):
        raise InputError(
            "invalid",
            f"--teacher-steps must be {steps} doubled one or more times for --method progressive, such as {4 * steps}, "
            f"not {total}",
        )
    return reversed(doubled[:-1])
