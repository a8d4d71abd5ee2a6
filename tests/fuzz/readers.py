"""Everything that reads files of others: a valid example of each, and the function that reads it."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

from autoencoders import stored
from ddpm.cli.prompts import listed
from ddpm.data.captions import match_captions
from ddpm.data.open import open_source
from ddpm.engine.loading import load
from ddpm.exchange import dit, lucidrains, openai
from ddpm.exchange.files import read_tensors
from ddpm.exchange.openai_flags import flags_beside
from ddpm.images.decode import BadImage, decode, header
from ddpm.images.photo import opened, read
from ddpm.planning.request import Request
from ddpm.records.average import average
from ddpm.records.codec import StoredCodec
from ddpm.records.provenance import KEY, Provenance, saved
from ddpm.records.run_folder import RunFolder
from ddpm.report.reading import read as read_report
from ddpm.system.files import read_file
from ddpm.tasks.mask import read_mask
from ddpm.training import checkpoint as checkpoints
from ddpm.training.log import Log, training_seconds
from fuzz.mutations import changed_bytes, changed_json, changed_tensors
from lucidrains_states import made, trainers_state
from malformed_files import Touch, zipped
from openai_unet import SMALL, make_state, text
from published_dit import make_state as make_dit

Change = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Reader:
    """A way in.

    Attributes:
        write: writes a valid example into an empty folder, and returns the file that is changed.
        read: reads it; called with that file.
        changes: how its bytes are changed.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    changes: tuple[Change, ...] = (changed_bytes,)


def changed_weights(data: bytes, draw: Random) -> bytes:
    return tensors_to_bytes(changed_tensors(tensors_from_bytes(data), draw))


def changed_state(data: bytes, draw: Random) -> bytes:
    """A file of PyTorch with a tensor changed, or with an object that runs code."""
    state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    if draw.random() < 0.2:
        return zipped(state | {"x": Touch(Path("canary"))})
    return zipped(changed_tensors({k: v for k, v in state.items() if isinstance(v, torch.Tensor)}, draw))


def _in(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def _of(contents: dict[str, bytes], name: str) -> Callable[[Path], Path]:
    """A run folder, of which one file is changed."""

    def write(folder: Path) -> Path:
        for path, content in contents.items():
            _in(path, content)(folder)
        return folder / name

    return write


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _png(mode: str = "RGB", info: Any = None, format: str = "PNG") -> bytes:
    out, shape = io.BytesIO(), (16, 12, len(mode)) if len(mode) > 1 else (16, 12)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8), mode)
    image.save(out, format, **({} if info is None else {"pnginfo": info}))
    return out.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _content(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError:  # which a survey counts
        return b""


def _decoded(path: Path) -> None:
    data = _content(path)
    for function in (header, decode):
        try:
            function(data)
        except BadImage:  # which a survey counts
            continue


def _captions(path: Path) -> None:
    match_captions(["0.png", "a/1.png"], [path.name], lambda name: _content(path))


def _source(path: Path) -> None:
    source = open_source(path)
    for item in source.items[:20]:
        try:
            source.read(item.name)
        except (BadImage, OSError):  # which a survey counts
            continue


def _log(path: Path) -> None:
    Log(path, 8).close()
    training_seconds(path, 10**6)


def readers(run: Path, folder: Path) -> dict[str, Reader]:
    """All readers by name.

    Args:
        run: a finished run.
        folder: an empty folder to make examples in.
    """
    files = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    files["tuned.json"] = _tuned(json.loads(files["config.json"]))
    stored(folder / "ae")
    codec = {path.name: path.read_bytes() for path in (folder / "ae").iterdir()}
    newest = max(name for name in files if name.endswith("state.json"))
    step = newest.removesuffix("/state.json")
    weights = {"model": make_state(SMALL), "dit": make_dit(), "lucidrains": trainers_state(made("v", "state"))}
    both = (changed_bytes, changed_json, changed_json, changed_json)
    table = b'file_name,text\n0.png,"a cat, black"\na/1.png,dog\n'
    lines = b'{"file_name": "0.png", "text": ["a", "b"]}\n{"file_name": "a/1.png", "text": "c"}\n'
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8)).astype(np.uint8)
    arrays = _npz(images=images, labels=np.arange(6) % 2, classes=np.array(["a", "b"]), captions=np.array(["x"] * 6))
    photo = read(Image.open(io.BytesIO(_png())), (8, 8), "RGB")

    def whole(path: Path) -> object:
        return load(next(p for p in path.parents if (p / "root").exists()), "cpu")

    def report(path: Path) -> object:
        return read_report(path.parent)

    def best(path: Path) -> object:
        root = next(p for p in path.parents if (p / "root").exists())
        return checkpoints.newest(root / "checkpoints"), average(RunFolder(root), 0.1)

    files["root"] = b""
    texts = _texts(files["config.json"])
    return {
        "config": Reader(_of(files, "config.json"), whole, both),
        "weights": Reader(_of(files, "model.safetensors"), whole, (changed_bytes, changed_weights)),
        "tuned": Reader(_of(files, "tuned.json"), whole, both),
        "log of a run": Reader(_of(files, "log.jsonl"), report),
        "log": Reader(_in("log.jsonl", files["log.jsonl"]), _log),
        "state": Reader(_of(files, newest), best, both),
        "manifest": Reader(_of(files, f"{step}/manifest.json"), best, both),
        "averages": Reader(_of(files, max(n for n in files if n.startswith("averages/"))), best, (changed_weights,)),
        "autoencoder": Reader(_of(codec, "config.json"), lambda path: StoredCodec.read(path.parent), both),
        "latents": Reader(_of(codec, "latents.json"), lambda path: StoredCodec.read(path.parent), both),
        "tensors": Reader(_in("w.safetensors", tensors_to_bytes(weights["dit"])), read_tensors),
        "openai": Reader(
            _in("w.pt", zipped(weights["model"])),
            lambda path: openai.read_model(path, text(SMALL)),
            (changed_bytes, changed_state),
        ),
        "dit": Reader(
            _in("w.safetensors", tensors_to_bytes(weights["dit"])),
            lambda path: dit.read_model(path, "--num_heads 2 --num_classes 3"),
            (changed_bytes, changed_weights, changed_weights),
        ),
        "lucidrains": Reader(
            _in("w.pt", zipped(weights["lucidrains"])), lambda path: lucidrains.read_model(path, "--image_size 8x12")
        ),
        "flags": Reader(
            _in("flags.json", b'{"image_size": 8, "num_heads": 2, "class_cond": true}'),
            lambda path: flags_beside(path.with_name("w.pt")),
            both,
        ),
        "arrays": Reader(_in("a.npz", arrays), open_source),
        "zip": Reader(_in("a.zip", _zip({"0.png": _png(), "a/1.png": _png("L"), "metadata.csv": table})), _source),
        "table": Reader(_in("metadata.csv", table), _captions),
        "lines": Reader(_in("metadata.jsonl", lines), _captions),
        "caption": Reader(_in("0.txt", "a cat\nein Kätzchen\n".encode()), _captions),
        **{
            f"picture {format}": Reader(_in("0", _png(format=format)), _decoded)
            for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
        },
        "photo": Reader(_in("0.png", _png("RGBA")), lambda path: opened(path)),
        "mask": Reader(_in("0.png", _png("L")), lambda path: read_mask(path, photo)),
        "provenance": Reader(_in("0.png", _png(info=texts)), lambda path: (saved(path), Provenance.read(path))),
        "prompts": Reader(_in("p.txt", b"a cat\na dog\n"), listed),
        "betas": Reader(_in("b.txt", b"[0.1, 0.2, 0.3]"), lambda path: Request.of("digits", {"betas": str(path)})),
    }


def _tuned(config: dict[str, Any]) -> bytes:
    how = config["sampling"]
    grid = {"sampling": how, "start": "x", "usual": 1.0, "untuned": 1.0, "tuned": 0.5}
    tree = {"format": 2, "weights": "x", "images": 4, "seed": 0, "reference": how, "grids": [grid]}
    return json.dumps(tree).encode()


def _texts(config: bytes) -> Any:
    from PIL.PngImagePlugin import PngInfo

    made = PngInfo()
    tree = {"format": 2, "run": "r", "weights": "w", "seed": 0, "index": 0, "label": None}
    made.add_text(KEY, json.dumps(tree | {"sampling": json.loads(config)["sampling"]}))
    return made
