"""Bad input: exit code 2, one line that says how to fix it, nothing lost.

``refused.txt`` lists command lines with the code of the error and what its message names.
"""

import errno
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image

import flags
from cases import cases
from ddpm.cli import app
from ddpm.system.errors import InputError
from refusal import refuses

from .conftest import snapshot

Refused = Callable[..., str]
Cli = Callable[..., int]
SHORT = ("--images", "64", "--batch", "16", "--precision", "fp32", *flags.sets("network.width=8", "network.blocks=1"))
REFUSED: dict[str, list[str]] = {}
for _line in Path(__file__).with_name("refused.txt").read_text(encoding="utf-8").splitlines():
    REFUSED.setdefault(_line.split(maxsplit=1)[0], []).append(_line)


@pytest.fixture(scope="module")
def files(digits_run: Path, enlarging_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the command lines are given."""
    root, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)

    def draw(name: str, *shape: int) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(root / f"{name}.png")

    for name, source in (("run", digits_run), ("larger", enlarging_run), ("young", digits_run), ("broken", digits_run)):
        shutil.copytree(source, root / name)
    (root / "young" / "log.jsonl").unlink()
    (root / "young" / "model.safetensors").unlink()
    (root / "broken" / "model.safetensors").write_bytes(b"\xff" * 100)
    for name, shape in (("photo", (8, 8)), ("other", (8, 8)), ("wide", (8, 12)), ("small", (4, 4)), ("given", (4, 4))):
        draw(name, *shape)
    draw("colour", 8, 8, 3)
    draw("plain", 8, 8, 3)
    for name, rows in (("mask", 4), ("empty", 8), ("full", 0)):
        Image.fromarray((255 * (np.arange(8)[:, None] >= rows) * np.ones(8)).astype(np.uint8)).save(
            root / f"{name}.png"
        )
    for folder, n in (("few", 3), ("photos", 16), ("sets/even", 2), ("sets/odd", 2)):
        for i in range(n):
            draw(f"{folder}/{i}", 12, 8, 3)
    for name, text in (
        ("file", "mine"),
        ("full/thesis.tex", "mine"),
        ("foreign/config.json", '{"_class_name": "DDPMPipeline"}'),
        ("text.png", "no"),
        ("words.txt", "one two"),
        ("model.pt", "PK\x03\x04"),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize("command", REFUSED)
def test_command_lines(command: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them writes anything."""
    monkeypatch.chdir(files)
    before, wrong = snapshot(files), {}
    for line in REFUSED[command]:
        words, expected = line.split(" -> ")
        code, named = expected.split(": ", 1)
        AcceleratorState._reset_state(True)
        with pytest.raises((InputError, SystemExit)) as caught:
            app(shlex.split(words))
        if not refuses(code, *named.split(", ")).matches(caught.value):  # type: ignore[arg-type]
            wrong[line] = repr(caught.value)
    assert wrong == {}
    assert snapshot(files) == before


@cases("line", ["sample run", "edit run photo.png --strength 0.5", "upscale larger small.png"])
def test_an_unknown_label_is_refused_before_anything_is_printed(
    line: str, files: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setattr("ddpm.system.console.console.print", lambda *lines, **how: pytest.fail(str(lines)))
    assert "unknown label 'x'" in refused(*line.split(), "--label", "x")


def photo(size: tuple[int, int] = (8, 8), mode: str = "RGB", format: str = "PNG") -> bytes:
    shape = (*size, len(mode)) if len(mode) > 1 else size
    out = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8), mode).save(out, format)
    return out.getvalue()


def files_of(kind: str, huge: bytes) -> dict[str, bytes]:
    good = {f"{i}.png": photo() for i in range(3)}
    return {
        "empty": {},
        "only text": {"notes.txt": b"hello"},
        "a text named .png": good | {"bad.png": b"this is no picture"},
        "all bad": {"bad.png": b"this is no picture"},
        "an empty file": good | {"bad.png": b""},
        "60,000 × 60,000": good | {"bad.png": huge},
        "cut short": good | {"bad.jpg": photo((64, 64), format="JPEG")[:1500]},
        "Latin-1": good | {"metadata.csv": "file_name,text\n0.png,café".encode("latin-1")},
        "mixed modes": good | {"grey.png": photo(mode="L")},
        "33 × 47": {f"{i}.png": photo((33, 47)) for i in range(3)},
    }[kind]


DATA = [
    ("empty", r"holds no images \(it is empty\); .*\.png"),
    ("only text", r"holds no images \(1 of type \.txt\)"),
    ("a text named .png", r"1 of 4 files cannot be used \(bad\.png: text, not a picture\); .*--skip-bad"),
    ("all bad", r"none of the 1 files can be used \(bad\.png: text"),
    ("an empty file", r"bad\.png: the file is empty"),
    ("60,000 × 60,000", r"bad\.png: .*[\d,]+ pixels"),
    ("cut short", r"bad\.jpg: the file is truncated"),
    ("Latin-1", r"metadata\.csv .*byte 0xe9 at offset 24, in line 2; .*iconv -f latin1 -t utf-8"),
    ("mixed modes", r"mixed modes .3 RGB, 1 L.; choose --mode L, RGB or RGBA"),
    ("33 × 47", r"33 × 47 .*--size \d+x\d+"),
]


def test_data(refused: Refused, tmp_path: Path, raw_png_60000: bytes) -> None:
    """By both commands, but that `ddpm check` goes on where it only has to name bad files."""
    for number, (kind, said) in enumerate(DATA):
        data, out = tmp_path / f"photos{number}", tmp_path / "run"
        data.mkdir()
        for name, content in files_of(kind, raw_png_60000).items():
            (data / name).write_bytes(content)
        assert re.search(said, refused("train", data, "--out", out, *SHORT, kept=data)), kind
        assert not out.exists()
        if kind in ("empty", "only text", "all bad", "Latin-1", "mixed modes", "33 × 47"):
            assert re.search(said, refused("check", data)), kind


def test_check_names_bad_files_and_says_how_to_go_on(
    cli: Cli, capsys: pytest.CaptureFixture[str], folder: Callable[..., Path]
) -> None:
    photos = folder(5)
    (photos / "bad [1].png").write_text("text")
    assert cli("check", photos) == 0
    out = capsys.readouterr().out
    assert "5 valid, 1 unusable" in out
    assert "bad [1].png (text, not a picture)" in out
    assert "--skip-bad" in out
    assert "8 × 8 RGB, unchanged; unconditional" in out
    assert f"ddpm train {photos} --out runs/photos" in out


def test_check_of_captions(cli: Cli, capsys: pytest.CaptureFixture[str], folder: Callable[..., Path]) -> None:
    photos = folder(4, classes=("cat", "dog"))
    first, *_ = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    (photos / "metadata.csv").write_text(f"file_name,text\n{first},a cat\n{first},a big cat\nnone.png,a bird\n")
    assert cli("check", photos) == 0
    out = capsys.readouterr().out
    assert "captions  2 on 1 of 4 images, 2 distinct" in out
    assert "2 words at the median, 3 at most" in out
    assert "most frequent: a 2, cat 2, big 1" in out
    assert "3 without a caption" in out
    assert "1 captions without an image: metadata.csv: none.png" in out
    assert "conditioned on 2 classes and captions" in out


def test_check_of_classes(cli: Cli, capsys: pytest.CaptureFixture[str], folder: Callable[..., Path]) -> None:
    assert cli("check", folder(4, classes=("cat", "dog")), "--size", "16", "--mode", "L") == 0
    out = capsys.readouterr().out
    assert "16 × 16 L, resized with --fit crop; conditioned on 2 classes" in out
    assert "cat 2, dog 2" in out
    assert re.search(r"next +ddpm train \S+ --out runs/photos --for 20m --size 16 --mode L$", out, re.M)


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(digits_run, tmp_path / "run")


FLAGS = ("--images", "192", "--batch", "16", "--precision", "fp32", "--set", "training.checkpoint_every=64")


def test_pictures_on_a_full_disk(refused: Refused, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "no space left to write" in refused("sample", run, "-n", "1", "--steps", "1", "--out", tmp_path / "x")


def test_going_on_with_other_data(refused: Refused, run: Path, folder: Callable[..., Path]) -> None:
    said = refused("train", folder(3), "--out", run, kept=run)
    assert re.search(r"digits, not .*photos; choose another --out", said)


def test_going_on_with_changed_data(cli: Cli, refused: Refused, tmp_path: Path, folder: Callable[..., Path]) -> None:
    photos, out = folder(6), tmp_path / "run"
    assert cli("train", photos, "--out", out, "--images", "16", "--batch", "8", "--set", "network.width=8") == 0
    Image.new("RGB", (8, 8)).save(photos / "0.png")
    assert re.search("the images of .* changed since", refused("train", photos, "--out", out, kept=out))


def test_flags_that_may_change(cli: Cli, run: Path) -> None:
    """And the run is done: nothing happens to it."""
    before = snapshot(run)
    own = ("--workers", "2", "--micro-batch", "3", "--device", "cpu")
    assert cli("train", "digits", "--out", run, *FLAGS, *flags.TINY, *own) == 0
    assert cli("train", "digits", "--out", run) == 0
    assert snapshot(run) == before


def test_a_longer_run_in_too_many_processes(refused: Refused, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "num_processes", 32)
    assert "a batch of 16" in refused("train", "digits", "--out", run, "--images", "384", kept=run)


def test_a_damaged_checkpoint_is_passed_over_by_name(
    cli: Cli, run: Path, digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "checkpoints" / "step-000000012" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert cli("train", "digits", "--out", run) == 0
    out = capsys.readouterr().out
    assert "warning" in out
    assert all(word in out for word in ("step-000000012", "damaged", "optimizer.safetensors", "SHA-256"))
    assert (run / "model.safetensors").read_bytes() == (digits_run / "model.safetensors").read_bytes()
    texts = [json.loads(line).get("text", "") for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("step-000000012" in text and "damaged" in text for text in texts)


def test_a_foreign_config_is_not_overwritten(refused: Refused, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for content, said in {b"{": "is damaged", b'{"_class_name": "x"}': "`ddpm train`", b'{"format": 7}': "7"}.items():
        (out / "config.json").write_bytes(content)
        assert said in refused("train", "digits", "--out", out, *SHORT, kept=out)


def test_checkpoints_of_another_model(refused: Refused, run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["network"]["width"] = config["network"]["cond_width"] = 16
    (run / "config.json").write_text(json.dumps(config))
    said = refused("train", "digits", "--out", run, kept=run)
    assert "the checkpoint of step 12 does not fit this configuration" in said


@pytest.mark.parametrize("after", [0, 5])
def test_a_full_disk(after: int, cli: Cli, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up after so many synced files; once there is room, the same command goes on."""
    out = tmp_path / "run"
    sync, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert "no space left to write" in refused("train", "digits", "--out", out, *SHORT)
    assert not list(out.rglob("*.part"))
    assert cli("train", "digits", "--out", out, *SHORT) == 0
    assert (out / "model.safetensors").exists()


def test_a_folder_that_may_not_be_written(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    out = tmp_path / "run"
    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", lambda self, *a, **k: (forbidden if self == out else mkdir)(self, *a, **k))
    said = refused("train", "digits", "--out", out, *SHORT, kept=tmp_path)
    assert "Permission denied" in said


def test_a_run_that_was_killed_while_it_began(cli: Cli, tmp_path: Path) -> None:
    """Half a config, or a config and nothing else: the same command goes on."""
    out = tmp_path / "run"
    out.mkdir()
    (out / ".config.json.part").write_text('{"form')
    assert cli("train", "digits", "--out", out, *SHORT) == 0
    for name in ("README.md", "log.jsonl", "model.safetensors"):
        (out / name).unlink()
    for name in ("checkpoints", "previews"):
        shutil.rmtree(out / name)
    assert cli("train", "digits", "--out", out, *SHORT) == 0
    assert {p.name for p in out.iterdir()} >= {"README.md", "config.json", "log.jsonl", "model.safetensors"}


def test_too_little_memory(refused: Refused, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device, on the processor, in Python."""
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has …\nSee documentation"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried …"),
        MemoryError(),
    ):

        def full(*args: object, error: Exception = error, **keywords: object) -> None:
            raise error

        monkeypatch.setattr("ddpm.engine.diffusion.Diffusion.draw", full)
        said = refused("sample", run, "-n", "2", kept=run)
        assert "out of memory" in said
        assert "--batch" in said


def test_other_errors_are_not_taken_for_it(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **keywords: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("ddpm.engine.diffusion.Diffusion.draw", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli("sample", run, "-n", "1")
