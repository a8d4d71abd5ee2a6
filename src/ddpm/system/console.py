"""Console output and progress bars."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(highlight=False, soft_wrap=True)


def watched() -> bool:
    """Whether a bar can be shown: on a terminal, or in a notebook that has widgets."""
    return sys.stdout.isatty() or (console.is_jupyter and find_spec("ipywidgets") is not None)


@contextmanager
def bar(title: str) -> Iterator["Bar"]:
    """A progress bar on a terminal or in a notebook; nothing when the output is redirected."""
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not watched()) as progress:
        yield Bar(progress)


class Bar:
    """A :class:`~ddpm.system.progress.Progress` that moves a bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, note="")

    def __call__(self, done: int, total: int, what: str = "", /) -> None:
        self._progress.update(self._task, completed=done, total=total, note=what)
