"""Write a run in a form that other programs open."""

from collections.abc import Callable
from pathlib import Path

from ddpm.engine.run import LoadedRun
from ddpm.exchange.diffusers.export import export_diffusers
from ddpm.exchange.imported import refuse_other_files
from ddpm.exchange.onnx import export_onnx
from ddpm.exchange.safetensors import export_safetensors
from ddpm.system.errors import InputError
from ddpm.system.names import ExportName, suggest

EXPORTS: dict[ExportName, Callable[[LoadedRun, Path, str | None], list[str]]] = {
    "diffusers": export_diffusers,
    "onnx": lambda run, out, label: export_onnx(run, out),
    "safetensors": lambda run, out, label: export_safetensors(run, out),
}
"""By target: writes a run to an empty place, with the class of a model without labels, and returns lines about it."""


def export(run: LoadedRun, to: ExportName, out: Path, label: str | None = None) -> list[str]:
    """Write a run for another program.

    Args:
        run: on the CPU.
        to: "diffusers", "onnx" or "safetensors".
        out: the folder to write, or for "safetensors" the file, which must not exist yet.
        label: the class, by name or number, that a pipeline without labels draws; None for none in particular.

    Returns:
        Lines that say what was written, and how to open it.

    Raises:
        InputError: the target is unknown, or cannot express something in the run, or a file cannot be written.
    """
    if to not in EXPORTS:
        raise InputError("unknown", f"unknown target {to!r}{suggest(str(to), list(EXPORTS))}")
    if label is not None and not run.classes:
        raise InputError("conflict", f"--label has no effect, as {run.source} has no classes; leave it out")
    if label is not None and to != "diffusers":
        raise InputError("conflict", f"--label has no effect with --to {to}, which keeps all classes; leave it out")
    refuse_other_files(out)
    return EXPORTS[to](run, out, label)
