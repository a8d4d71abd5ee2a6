"""``ddpm report``."""

from pathlib import Path


def report(run: Path, *, out: Path | None = None) -> None:
    """Write one page on a run: scores, samples, losses, settings, and the commands that make it again.

    Parameters
    ----------
    run
        A run folder, finished or not.
    out
        The page; RUN/report.html by default. It needs no other file.
    """
    from ddpm.report import write
    from ddpm.system.console import console

    console.print(str(write(run, out)), markup=False)
