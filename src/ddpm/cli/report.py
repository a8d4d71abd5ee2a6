"""``ddpm report``."""

from pathlib import Path

from ddpm.cli.output import say


def report(run: Path, *, out: Path | None = None) -> None:
    """Write an HTML report on a run: scores, samples, losses, settings, and the commands to reproduce it.

    Args:
        run: A run folder, finished or not.
        out: The file to write; RUN/report.html by default. It is self-contained.
    """
    from ddpm.report import write

    say(str(write(run, out)))
