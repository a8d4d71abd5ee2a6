"""The levels of a student, and the sampling settings of its teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

from ddpm.config.grid import Timesteps
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.sampling.grid import divided
from ddpm.system.errors import InputError
from ddpm.system.ranges import span, spelled

MOST = 16
"""The most steps of a student: with more, its teacher is as fast."""
SOLVER, EACH, FEWEST = "unipc-2", 3, 12
"""The teacher's solver, its steps for each step of the student, and its fewest in all, by default."""


def grids_of(teacher: LoadedRun, numbers: Sequence[int]) -> tuple[Timesteps, ...]:
    """The timesteps of a student for each number of steps.

    Raises:
        InputError: a number of steps is out of range.
    """
    if not 1 <= numbers[0] <= numbers[-1] <= MOST:
        raise InputError("invalid", f"--steps must be between 1 and {MOST}, not {spelled(numbers)}")
    grids = tuple(levels_of(teacher, steps) for steps in numbers)
    if len({grid[0] for grid in grids}) > 1:  # tuned levels may start elsewhere, but all share one trajectory
        return tuple(power(teacher, steps) for steps in numbers)
    return grids


def levels_of(teacher: LoadedRun, steps: int) -> Timesteps:
    """The timesteps that `ddpm tune` found for this many steps, else those of ``power``."""
    found = [how.grid for how in teacher.tuned if how.steps == steps and not isinstance(how.grid, str)]
    return found[0] if found else power(teacher, steps)


def power(teacher: LoadedRun, steps: int, flag: str = "--steps") -> Timesteps:
    """Whole timesteps of ``power``.

    Args:
        flag: the flag that sets the number of steps.

    Raises:
        InputError: there are too many steps for the levels.
    """
    T = teacher.engine.schedule.T
    visits = tuple(float(round(T * (k / steps) ** 1.5)) for k in range(steps, 0, -1))
    if len({*visits} - {0.0}) < steps:
        raise InputError("invalid", f"{flag} {steps} is too many for the {T} levels of {teacher.source}; use fewer")
    return visits


def taught(teacher: LoadedRun, grids: Sequence[Timesteps], asked: Mapping[str, Any]) -> SamplingConfig:
    """The settings of a teacher's trajectory through the timesteps of a student.

    Raises:
        InputError: it has no more steps than the student, or the guidance is invalid.
    """
    visits = sorted({timestep for grid in grids for timestep in grid}, reverse=True)
    total = asked.get("teacher_steps", max(FEWEST, EACH * max(map(len, grids))))
    if "teacher_steps" in asked and total <= len(visits):
        each = "steps" if len(grids) == 1 else f"different timesteps in {len(grids)} numbers of steps"
        raise InputError(
            "invalid", f"--teacher-steps must be more than the student's {len(visits)} {each}, not {total}"
        )
    return settings(teacher, {"solver": SOLVER, "grid": tuple(divided(visits, total)), **guided(asked)})


def halved(teacher: LoadedRun, steps: int, asked: Mapping[str, Any]) -> SamplingConfig:
    """The settings of a run as the teacher of the first stage of progressive distillation: twice the steps.

    Raises:
        InputError: the guidance is invalid.
    """
    return settings(teacher, {"solver": "ddim", "grid": power(teacher, 2 * steps, "--teacher-steps"), **guided(asked)})


def guided(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The teacher's options of guidance: the highest scale, and the noise-to-signal ratios to guide between.

    Raises:
        InputError: the scale is invalid or missing.
    """
    if "guidance" not in asked:
        if "guidance_interval" in asked:
            raise InputError("conflict", "--guidance-interval requires --guidance; add it")
        return {}
    return {"guidance": span("--guidance", asked["guidance"])[1], "guidance_interval": asked.get("guidance_interval")}
