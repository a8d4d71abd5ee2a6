"""Bad input through the real command line: exit code 2, one line that says how to mend it, nothing lost."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

Refused = Callable[..., str]
Cli = Callable[..., int]
TINY = ("--images", "64", "--batch", "16", "--precision", "fp32", "--set", "network.width=8")


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
        "mixed modes": good | {"grey.png": photo(mode="L")},
        "33 × 47": {f"{i}.png": photo((33, 47)) for i in range(3)},
    }[kind]


DATA = [
    ("empty", r"holds no images \(it is empty\); .*\.png"),
    ("only text", r"holds no images \(1 of type \.txt\)"),
    ("a text named .png", r"1 of 4 images cannot be used \(bad\.png: text, not a picture\); .*--skip-bad"),
    ("all bad", r"none of the 1 images can be used \(bad\.png: text"),
    ("an empty file", r"bad\.png: the file is empty"),
    ("60,000 × 60,000", r"bad\.png: .*[\d,]+ pixels"),
    ("cut short", r"bad\.jpg: the file is truncated"),
    ("mixed modes", r"mixed modes .3 RGB, 1 L.; choose --mode L, RGB or RGBA"),
    ("33 × 47", r"33 × 47 .*--size \d+x\d+"),
]


@pytest.mark.parametrize(("kind", "said"), DATA)
def test_data(kind: str, said: str, refused: Refused, tmp_path: Path, raw_png_60000: bytes) -> None:
    """By both commands, but that `ddpm check` goes on where it only has to name bad files."""
    data, out = tmp_path / "photos", tmp_path / "run"
    data.mkdir()
    for name, content in files_of(kind, raw_png_60000).items():
        (data / name).write_bytes(content)
    assert re.search(said, refused("train", data, "--out", out, *TINY, kept=tmp_path / "photos"))
    assert not out.exists()
    if kind in ("empty", "only text", "all bad", "mixed modes", "33 × 47"):
        assert re.search(said, refused("check", data))


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


def test_check_of_classes(cli: Cli, capsys: pytest.CaptureFixture[str], folder: Callable[..., Path]) -> None:
    assert cli("check", folder(4, classes=("cat", "dog")), "--size", "16") == 0
    out = capsys.readouterr().out
    assert "16 × 16 RGB, resized with --fit crop; conditioned on 2 classes" in out
    assert "cat 2, dog 2" in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--for", "5m", "--images", "1k"], "--for cannot be combined with --images"),
        (["--for", "soon"], "'soon' is not a duration; write it as 90s"),
        (["--images", "some"], "'some' is not a number of images"),
        (["--size", "big"], "'big' is not a size"),
        (["--set", "training.batchh=3"], r"unknown key 'training\.batchh' \(did you mean 'batch'\?\)"),
        (["--set", "trainig.batch=3"], r"unknown key 'trainig' \(did you mean 'training'\?\)"),
        (["--set", "training.batch"], "--set training.batch is not"),
        (["--set", "training.batch=abc"], r"training\.batch is 'abc'"),
        (["--set", "training.seed=abc"], r"training\.seed is "),
        (["--set", "training=3"], "training is a section"),
        (["--set", "network.in_channels=3"], "must be 1 for L images"),
        (["--set", "network.multipliers=[1,2,2,2,2]"], "8 × 8 .* 16"),
        (["--set", "sampling.solver.eta=2"], "eta must be between 0"),
        (["--set", "training.betas=[0.9,2]"], "betas must be"),
        (["--recipe", "ho2021"], r"unknown recipe 'ho2021' \(did you mean 'ho2020'\?\)"),
        (["--batch", "0"], "batch must be at least 1"),
        (["--precision", "fp16", "--device", "cpu"], "this machine cannot train in fp16"),
        (["--prediction", "eps", "--schedule", "flow"], "eps prediction .* flow schedule"),
        (["--variance", "learned"], "--variance learned .* --loss hybrid or vlb"),
        (["--loss", "hybrid"], "--loss hybrid .* --variance learned"),
        (["--loss", "vlb", "--weighting", "min-snr"], "min-snr .* --loss vlb"),
        (
            ["--loss", "vlb", "--levels", "log-normal"],
            "log-normal .* --loss vlb; use uniform, stratified",
        ),
        (
            ["--prediction", "eps", "--weighting", "constant"],
            r"--weighting constant .* 0\.1\d* % of the uniform levels",
        ),
        (
            ["--set", "objective.weighting=snr", "--set", "objective.weighting.gamma=3"],
            "gamma is an option of min-snr and p2, not of snr",
        ),
        (
            ["--levels", "uniform", "--set", "objective.levels.std=3"],
            "std is an option of log-normal and logit-normal, not of uniform",
        ),
        (["--levels", "log-normal", "--set", "objective.levels.std=0"], "std must be above 0 and finite"),
        (["--levels", "log-normal", "--set", "objective.levels.mean=NaN"], "mean must be finite"),
        (["--loss", "simple", "--set", "objective.loss.share=3"], "share is an option of hybrid, not of simple"),
        (["--set", "diffusion.sigma_data=0.7"], "diffusion.sigma_data requires"),
        (["--prediction", "edm", "--set", "diffusion.sigma_data=-1"], "sigma_data must be above 0 and finite"),
        (
            ["--schedule", "ve", "--set", "diffusion.zero_terminal_snr=true"],
            "zero_terminal_snr .* ve",
        ),
        (["--betas", "none.txt"], r"--betas none\.txt"),
        (["--betas", __file__], "--betas .* not a number"),
        (["--betas", "b.txt", "--schedule", "linear"], "--schedule cannot be combined with --betas"),
        (["--sigma-max", "9"], "sigma_max .* ve and edm .* cosine"),
    ],
)
def test_flags_of_train(flags: list[str], said: str, refused: Refused, tmp_path: Path) -> None:
    out = tmp_path / "run"
    budget = [] if {"--for", "--images"} & set(flags) else ["--images", "64"]
    assert re.search(said, refused("train", "digits", "--out", out, *budget, *flags))
    assert not out.exists()


def test_places(refused: Refused, tmp_path: Path, folder: Callable[..., Path]) -> None:
    photos = folder(3)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    for argv, said in {
        ("train", tmp_path / "phots"): r"phots does not exist \(did you mean .*photos\?\)",
        ("train", tmp_path / "file"): "of an unsupported type .*folder of images",
        ("train", photos, "--out", tmp_path / "file"): "a file exists where a folder is needed",
        ("train", photos, "--out", tmp_path / "file" / "run"): "a file exists where a folder is needed",
        ("train", photos, "--out", tmp_path / "full"): "full already exists .* --out",
        ("check", tmp_path / "nothing"): "nothing does not exist",
        ("check", photos, "--size", "x"): "'x' is not a size",
    }.items():
        flags = ("--images", "8", "--set", "network.width=8") if argv[0] == "train" else ()
        assert re.search(said, refused(*argv, *flags, kept=tmp_path))


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(digits_run, tmp_path / "run")


FLAGS = ("--images", "192", "--batch", "16", "--precision", "fp32", "--set", "training.checkpoint_every=64")
NET = ("--set", "network.width=8", "--set", "network.multipliers=[1,2]", "--set", "network.attention=[2]")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--label", "seven"], r"unknown label 'seven' \(known: 0, 1"),
        (["--label", "11"], "label 11 .* 0 to 9"),
        (["--guidance", "2"], "guidance 2.0 requires a label"),
        (["--guidance", "nan", "--label", "3"], "guidance must be at least 0 and finite, not nan"),
        (["--steps", "0"], "steps must be at least 1"),
        (["--steps", "2000"], "steps must be between 1 and 1000"),
        (
            ["--solver", "dim"],
            r"solver 'dim' is unknown \(did you mean 'ddim'\?\); .*sde-dpm",
        ),
        (["--eta", "0.5", "--solver", "ancestral"], "eta is an option of ddim"),
        (["-n", "0"], "n 0 .* at least 1"),
        (["-n", "-2", "--label", "3"], "n -2 .* at least 1"),
        (["--batch", "0"], "batch 0 .* at least 1"),
        (["--device", "cuda:77"], "device cuda:77 is not available"),
        (["--device", "toaster"], "device toaster is not available"),
        (["--from", "x.png"], "--from"),
    ],
)
def test_flags_of_sample(argv: list[str], said: str, refused: Refused, run: Path) -> None:
    assert re.search(said, refused("sample", run, *argv, kept=run))


def test_a_picture_is_drawn_again_as_it_was(refused: Refused) -> None:
    for flags in [
        *(["--seed", "1"], ["--batch", "8"], ["--label", "3"], ["--steps", "9"], ["--size", "16"]),
        *(["--no-whole"], ["--then", "runs/sr"], ["--trajectory"], ["--guidance", "0"], ["--no-clip"]),
        *(["--precision", "bf16"], ["--classifier-form", "mean"]),
    ]:
        said = f"{flags[0].replace('--no-', '--')} has no effect on a picture drawn again by --from; drop it"
        assert said in refused("sample", "--from", "x.png", *flags)


def test_what_is_no_run(refused: Refused, tmp_path: Path, run: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "text.png").write_text("no")
    (tmp_path / "plain.png").write_bytes(photo())
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"_class_name": "DDPMPipeline"}')
    broken = shutil.copytree(run, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    for argv, said in {
        (): "`ddpm sample runs/photos`",
        (tmp_path / "nothing",): "nothing does not exist",
        (tmp_path / "model.pt",): "a PyTorch pickle or ZIP file",
        (tmp_path / "plain.png",): "a PNG picture .*`ddpm sample --from`",
        (foreign,): "`ddpm train`",
        (broken,): r"model\.safetensors is damaged .*checkpoints",
        ("--from", tmp_path / "text.png"): "text.png is not a picture",
        ("--from", tmp_path / "plain.png"): "plain.png has no record",
        ("--from", tmp_path / "nothing.png"): "does not exist",
        (run, "-n", "1", "--steps", "1", "--out", tmp_path / "model.pt"): "a file exists",
    }.items():
        assert re.search(said, refused("sample", *argv, kept=tmp_path))


def test_pictures_on_a_full_disk(refused: Refused, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "no space left to write" in refused("sample", run, "-n", "1", "--steps", "1", "--out", tmp_path / "x")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--lr", "0.5"], r"was started without --lr 0\.5; .* choose another --out"),
        (["--seed", "1"], r"was started without --seed 1;"),
        (["--flip"], r"was started without --flip;"),
        (["--no-labels"], r"was started without --no-labels;"),
        (["--micro-batch", "4"], r"was started without --micro-batch 4;"),
        (["--batch", "32"], r"was started with --batch 16;"),
        (["--images", "1k"], r"was started with --images 192;"),
        (["--for", "1m"], r"was started without --for 1m;"),
        (["--set", "training.ema=0.5"], r"was started with --set training\.checkpoint_every=64 --set network"),
        (["--workers", "-1"], r"workers must be at least 0"),
    ],
)
def test_going_on_with_other_flags(flags: list[str], said: str, refused: Refused, run: Path) -> None:
    assert re.search(said, refused("train", "digits", "--out", run, *flags, kept=run))


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

    def snapshot(folder: Path) -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    before = snapshot(run)
    assert cli("train", "digits", "--out", run, *FLAGS, *NET, "--workers", "2", "--device", "cpu") == 0
    assert cli("train", "digits", "--out", run) == 0
    assert snapshot(run) == before


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", r"config\.json is damaged"),
        (b'{"_class_name": "x"}', "`ddpm train`"),
        (b'{"format": 7}', "has format 7"),
    ],
)
def test_a_foreign_config_is_not_overwritten(content: bytes, said: str, refused: Refused, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_bytes(content)
    assert re.search(said, refused("train", "digits", "--out", out, *TINY, kept=out))


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
        assert "no space left to write" in refused("train", "digits", "--out", out, *TINY)
    assert not list(out.rglob("*.part"))
    assert cli("train", "digits", "--out", out, *TINY) == 0
    assert (out / "model.safetensors").exists()


def test_a_folder_that_may_not_be_written(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    out = tmp_path / "run"
    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", lambda self, *a, **k: (forbidden if self == out else mkdir)(self, *a, **k))
    said = refused("train", "digits", "--out", out, *TINY, kept=tmp_path)
    assert "Permission denied" in said


def test_a_run_that_was_killed_while_it_began(cli: Cli, tmp_path: Path) -> None:
    """Half a config, or a config and nothing else: the same command goes on."""
    out = tmp_path / "run"
    out.mkdir()
    (out / ".config.json.part").write_text('{"form')
    assert cli("train", "digits", "--out", out, *TINY) == 0
    for name in ("README.md", "log.jsonl", "model.safetensors"):
        (out / name).unlink()
    for name in ("checkpoints", "previews"):
        shutil.rmtree(out / name)
    assert cli("train", "digits", "--out", out, *TINY) == 0
    assert {p.name for p in out.iterdir()} >= {"README.md", "config.json", "log.jsonl", "model.safetensors"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has …\nSee documentation"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried …"),
        MemoryError(),
    ],
    ids=["device", "processor", "python"],
)
def test_too_little_memory(error: Exception, refused: Refused, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **keywords: object) -> None:
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
