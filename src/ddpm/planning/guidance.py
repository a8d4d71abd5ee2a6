"""The search for guidance at the end of training."""

from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from ddpm.planning.follow import say
from ddpm.records.card import adopt
from ddpm.records.guidance import GuidanceRecord
from ddpm.records.run_folder import RunFolder
from ddpm.system.console import bar
from ddpm.system.interrupt import Interrupt, Interrupted
from ddpm.system.progress import Progress

GuidanceOf = Callable[[Path, torch.device, Progress], GuidanceRecord | None]
"""Searches for the guidance of a finished run: see :func:`ddpm.evaluation.guidance.after_training`."""


def find_guidance(run: RunFolder, guidance_of: GuidanceOf, accelerator: Accelerator) -> None:
    """Search for the guidance of a finished run, record and print it, unless that was done before.

    Raises:
        Interrupted: stopped by a signal; the samples drawn so far are kept.
    """
    if accelerator.is_main_process:
        with Interrupt() as interrupt, bar("guidance") as progress:

            def interruptible(done: int, total: int, what: str = "", /) -> None:
                if interrupt.requested:
                    raise Interrupted
                progress(done, total, what)

            try:
                found = guidance_of(run.path, accelerator.device, interruptible)
            except Interrupted:
                say(accelerator, "interrupted in the search for guidance; re-run the same command to resume")
                raise
        if found is not None:
            adopt(run, found)
            say(accelerator, found.line)
    accelerator.wait_for_everyone()
