"""Prompts on the command line."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ddpm.system.errors import InputError
from ddpm.system.files import read_given

if TYPE_CHECKING:
    from ddpm.config.sampling import SamplingConfig
    from ddpm.engine.run import LoadedRun

NOTES = 10
"""The number of notes after which further prompts are not read for notes, as that takes time."""


def alone(given: list[str] | None) -> str | list[str] | None:
    """The value of a flag that was given once, which applies to all images; else the values."""
    return given[0] if given and len(given) == 1 else given


def listed(file: Path) -> list[str]:
    """The prompts in a file, one per line.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    try:
        lines = read_given(file).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError("unreadable", f"cannot read --prompts {file} ({e}); use a UTF-8 text file") from e
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError("invalid", f"--prompts {file} holds no prompts; write one per line")
    return found


def remarks(run: "LoadedRun", prompts: Iterable[str], how: "SamplingConfig") -> list[str]:
    """Notes on the first prompts that need any and on the negative prompt, such as words that the run never saw."""
    if run.text is None:
        return []
    negative = None if how.guidance is None else how.guidance.negative_prompt
    read, lines = [*dict.fromkeys([*([] if negative is None else [negative]), *prompts])], dict[str, None]()
    for k, prompt in enumerate(read):
        lines |= dict.fromkeys(run.text.notes(prompt))
        if len(lines) >= NOTES and k + 1 < len(read):
            return [*lines, f"further prompts were not checked ({len(read) - k - 1:,})"]
    return list(lines)
