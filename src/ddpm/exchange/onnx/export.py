"""Write a run as ONNX files."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ddpm.engine.options import settings as resolved
from ddpm.engine.run import LoadedRun
from ddpm.exchange.imported import drafted_folder
from ddpm.exchange.onnx.graphs import Conditioned, Graph, autoencoder, denoiser, text
from ddpm.exchange.onnx.settings import classifier_free, sampler
from ddpm.system.errors import InputError
from ddpm.system.files import disk_errors, write_file
from ddpm.text.cached import CachedFeatures

TOLERANCE = 1e-4
"""The largest difference between ONNX Runtime and PyTorch, relative to the standard deviation of outputs above 1."""
SETTINGS = "sampler.json"
TOKENIZER = "tokenizer"
EXTRA = 'run `pip install "ddpm[onnx]"`'


def export_onnx(run: LoadedRun, out: Path) -> list[str]:
    """Export a run: its denoiser, the two halves of its autoencoder and its text encoder, and the numbers to sample.

    Where ONNX Runtime is installed, each network is compared with PyTorch, at two batch sizes.

    Returns:
        A line for each file, and for what is left out.

    Raises:
        InputError: packages are missing, the folder is not empty, a network cannot be exported, or its results differ.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise InputError("missing", f"--to onnx needs {package}, which is not installed; {EXTRA}")
    with drafted_folder(out) as draft:
        lines = _files(run, draft)
    guidance = resolved(run, {}).guidance
    if guidance is not None and not run.learned_guidance and (said := classifier_free(run)) != guidance:
        instead = "none" if said is None else f"guidance {said.words}"
        lines.append(f"left out: guidance {guidance.words}; {SETTINGS} has {instead}")
    return lines


def _files(run: LoadedRun, out: Path) -> list[str]:
    """Write all files, and return a line for each."""
    graphs, lines = [denoiser(run), *autoencoder(run)], list[str]()
    if isinstance(run.text, CachedFeatures):
        encoder = run.text.encoder()
        graphs.append(text(encoder))
        with disk_errors(out):
            encoder.tokens.tokenizer.save_pretrained(out / TOKENIZER)
        lines.append(f"{TOKENIZER}/: the tokenizer of prompts")
    for graph in graphs:
        path = out / f"{graph.name}.onnx"
        _write(graph, path)
        weights = sum(p.numel() for p in graph.module.parameters())
        lines.append(f"{path.name}: {weights / 1e6:.1f} M parameters, {compared(graph, path)}")
    write_file(out / SETTINGS, json.dumps(sampler(run, graphs), indent=1).encode())
    return [*lines, f"{SETTINGS}: noise levels, classes and sampling settings"]


def _write(graph: Graph, path: Path) -> None:
    """Write a network for any number of rows.

    Raises:
        InputError: it has an operation that ONNX lacks.
    """
    inputs = tuple(graph.inputs.values())
    rows: tuple[Any, ...] = ({0: torch.export.Dim("batch", min=1)},) * len(inputs)
    if isinstance(graph.module, Conditioned) and len(rows) > 2:  # whose raw conditions are one argument
        rows = (*rows[:2], rows[2:])
    with _silent(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.module,
                inputs,
                input_names=list(graph.inputs),
                output_names=[graph.output],
                dynamic_shapes=rows,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                "incompatible", f"the {graph.name} cannot be exported to ONNX ({reason}); use --to diffusers"
            ) from error
    assert program is not None
    with disk_errors(path):
        program.save(path)


def compared(graph: Graph, path: Path) -> str:
    """Compare the results of ONNX Runtime and PyTorch.

    Raises:
        InputError: they differ by more than the tolerance.
    """
    if find_spec("onnxruntime") is None:
        return f"not compared with PyTorch, as onnxruntime is not installed; {EXTRA}"
    import onnxruntime

    given = [
        {name: tensor[:rows] for name, tensor in graph.inputs.items()}
        for rows in (1, len(next(iter(graph.inputs.values()))))
    ]
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        found = [session.run(None, {name: tensor.numpy() for name, tensor in one.items()})[0] for one in given]
    except Exception as error:  # each problem has its own type
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            "incompatible", f"ONNX Runtime cannot run {path.name} ({reason}); use --to diffusers"
        ) from error
    worst = 0.0
    for inputs, theirs in zip(given, found, strict=True):
        with torch.no_grad():
            own = graph.module(*inputs.values())
        worst = max(worst, float((torch.from_numpy(theirs) - own).abs().max() / max(1.0, float(own.std()))))
    if not worst <= TOLERANCE:
        raise InputError(
            "incompatible",
            f"{path.name}: ONNX Runtime's results differ by {worst:.2g} from PyTorch's, more than {TOLERANCE:g}; "
            "update torch and onnxruntime, or use --to diffusers",
        )
    return f"differs from PyTorch by {worst:.1g}"


@contextmanager
def _silent() -> Iterator[None]:
    """A context without the exporter's warnings, such as about torchvision, which it does not need."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
